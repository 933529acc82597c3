"""Counts of what trains, held against the parameters themselves."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import peft
import pytest
from safetensors.torch import load_file

from loretta_cli.measure.parameters import LayerShape, ParameterCount, count_adapter, count_base
from tests.tiny_models import FAMILIES, HIDDEN, LABELS, LAYERS, TASK_TYPES, tiny_model
from tests.tuners.adapters import CASES, adapted, trainable_count


def count(model: Any, family: str) -> ParameterCount:
    return count_adapter(model, count_base(tiny_model(family)), model.config.model_type)


def norms_of(family: str) -> int:
    """All numbers of the normalisation layers of a tiny model."""
    return sum(
        parameter.numel()
        for module in tiny_model(family).modules()
        if "norm" in type(module).__name__.lower()
        for parameter in module.parameters(recurse=False)
    )


def train_size(shape: LayerShape) -> tuple[int, int]:
    """Numbers in the cores of a train, and its output features, from its printed modes and its ranks."""
    sizes = [int(mode) for mode in shape.modes.replace(" | ", "·").split("·")]
    assert len(shape.ranks) == len(sizes) + 1
    cores = sum(
        left * size * right for left, size, right in zip(shape.ranks, sizes, shape.ranks[1:], strict=False)
    )
    return cores, prod(int(mode) for mode in shape.modes.split(" | ")[1].split("·"))


def lora(family: str) -> Any:
    targets = {
        "deberta": ["in_proj"],
        "llama": ["q_proj", "v_proj"],
        "llama-classifier": ["q_proj", "v_proj"],
    }
    config = peft.LoraConfig(
        r=4, target_modules=targets.get(family, ["query", "value"]), task_type=TASK_TYPES[family]
    )
    return peft.get_peft_model(tiny_model(family), config)


@pytest.mark.parametrize(("family", "method", "preset"), CASES)
def test_the_parts_sum_to_what_trains(family: str, method: str, preset: str) -> None:
    model = adapted(family, method, preset)
    result = count(model, family)
    assert result.trainable == sum(result.parts.values()) == trainable_count(model)
    assert list(result.parts) == ["cores", "biases", "norms", "head"]
    assert result.parts["cores"] > 0
    assert result.parts["norms"] == (norms_of(family) if preset == "paper" else 0)
    assert (result.parts["head"] > 0) == (TASK_TYPES[family] == "SEQ_CLS")
    assert (result.parts["biases"] > 0) == (method == "adp" and preset != "lean")


@pytest.mark.parametrize(("family", "method", "preset"), CASES)
def test_the_storage_is_that_of_the_saved_file(family: str, method: str, preset: str, tmp_path: Path) -> None:
    model = adapted(family, method, preset)
    model.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "adapter_model.safetensors")
    assert count(model, family).storage_bytes == 4 * sum(tensor.numel() for tensor in saved.values())


@pytest.mark.parametrize(("family", "method", "preset"), CASES)
def test_the_trains_make_up_the_cores(family: str, method: str, preset: str) -> None:
    result = count(adapted(family, method, preset), family)
    cores = biases = 0
    for shape in result.shapes:
        assert not shape.name.startswith("base_model.")
        core_numbers, out_features = train_size(shape)
        bias = shape.parameters - core_numbers
        assert bias in (0, out_features)
        if ".modules_to_save." not in shape.name:
            cores, biases = cores + core_numbers, biases + bias
    assert cores == result.parts["cores"]
    assert biases == result.parts["biases"]
    has_head_train = any(".modules_to_save." in shape.name for shape in result.shapes)
    with_dense = ("deberta", "deberta-v2", "distilbert", "electra", "mpnet", "roberta", "t5-classifier")
    assert has_head_train == (preset == "paper" and family in with_dense)


@pytest.mark.parametrize("family", FAMILIES)
def test_lora_is_counted_with_its_own_weights_as_cores(family: str) -> None:
    model = lora(family)
    result = count(model, family)
    assert result.trainable == sum(result.parts.values()) == trainable_count(model)
    per_layer = {
        # (in + out) * rank of the adapted matrices of one block
        "deberta": 4 * (HIDDEN + 3 * HIDDEN),
        "llama": 4 * ((HIDDEN + HIDDEN) + (HIDDEN + HIDDEN // 2)),
    }
    expected = per_layer.get(family.removesuffix("-classifier"), 4 * 2 * (HIDDEN + HIDDEN))
    assert result.parts["cores"] == LAYERS * expected
    assert result.layers == LAYERS * (1 if family == "deberta" else 2)
    assert result.shapes == ()


def test_bert_standard_parts_are_those_computed_by_hand() -> None:
    result = count(adapted("bert", "adp", "standard", bottleneck=16), "bert")
    # Two adapters a block: 16 biases down, 48 up; the head is one linear layer.
    assert result.layers == 2 * LAYERS
    assert result.parts["biases"] == 2 * LAYERS * (16 + HIDDEN)
    assert result.parts["head"] == LABELS * HIDDEN + LABELS
    assert result.parts["norms"] == 0


def test_a_bert_has_all_its_norms_trained_by_the_paper_preset() -> None:
    result = count(adapted("bert", "adp", "paper"), "bert")
    # One in the embeddings and two a block, each a weight and a bias.
    assert result.parts["norms"] == (1 + 2 * LAYERS) * 2 * HIDDEN


def test_a_second_adapter_of_the_same_kind_is_not_counted_as_it_does_not_train() -> None:
    model = adapted("bert", "rep", "standard")
    alone = count(model, "bert")
    model.add_adapter("other", model.peft_config["default"])
    assert count(model, "bert").trainable == alone.trainable


def test_a_tied_matrix_counts_once() -> None:
    tied = count_base(tiny_model("llama", tie_word_embeddings=True))
    assert count_base(tiny_model("llama")) - tied == 99 * HIDDEN


def test_the_json_has_the_fields_of_the_contract() -> None:
    result = ParameterCount(25, 1000, {"cores": 20, "biases": 5, "norms": 0, "head": 0}, 100, 3)
    assert result.as_json() == {
        "trainable": 25,
        "total": 1000,
        "percent": 2.5,
        "parts": {"cores": 20, "biases": 5, "norms": 0, "head": 0},
        "storage_bytes": 100,
        "layers": 3,
        "shapes": [],
    }


@pytest.mark.parametrize(
    ("method", "words"), [("rep", "cores 5, head 1,200"), ("lora", "adapter 5, head 1,200")]
)
def test_people_are_told_of_cores_only_where_there_are_trains(method: str, words: str) -> None:
    count = ParameterCount(1205, 9000, {"cores": 5, "biases": 0, "norms": 0, "head": 1200}, 4820, 2)

    assert count.parts_in_words(method) == words
    assert list(count.as_json()["parts"]) == ["cores", "biases", "norms", "head"]
