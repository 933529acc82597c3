"""Which layers are adapted, and the errors where the question has no answer."""

from __future__ import annotations

from typing import Any

import peft
import pytest
from torch import nn

from loretta_cli.errors import LorettaError
from loretta_cli.tuners.proposals import candidate_names
from loretta_cli.tuners.targets import TargetModulesError, insert_adapter
from tests.tiny_models import UNKNOWN, TwoLayerNet, tiny_model
from tests.tuners.adapters import CONFIGS, adapted

both_methods = pytest.mark.parametrize("method", CONFIGS)


def adapted_names(model: Any) -> list[str]:
    """Names of the adapted layers below the base model."""
    return [
        name.removeprefix("base_model.model.")
        for name, module in model.named_modules()
        if type(module).__name__ in ("AdpLayer", "RepLayer")
    ]


@both_methods
@pytest.mark.parametrize("base", [TwoLayerNet, lambda: tiny_model(UNKNOWN)], ids=["plain", UNKNOWN])
def test_an_unknown_family_without_targets_is_refused_with_the_candidates(method: str, base: Any) -> None:
    model = base()
    with pytest.raises(TargetModulesError, match=r"is not known.*specify `target_modules`") as caught:
        peft.get_peft_model(model, CONFIGS[method]())
    for name in (
        ("wide", "narrow")
        if isinstance(model, TwoLayerNet)
        else ("qkv_proj", "out_proj", "fc_in", "fc_out", "lm_head")
    ):
        assert name in caught.value.hint


@both_methods
def test_a_list_of_which_a_part_does_not_exist_is_refused_naming_that_part(method: str) -> None:
    with pytest.raises(TargetModulesError, match=r"Only a part of .*\['values'\] not found") as caught:
        adapted("bert", method, target_modules=["query", "values"])
    assert "query, value" in caught.value.hint


@both_methods
def test_a_list_of_which_nothing_exists_is_refused(method: str) -> None:
    with pytest.raises(TargetModulesError, match=r"None of .*\['k', 'q'\] not found"):
        adapted("bert", method, target_modules=["q", "k"])


def test_the_error_is_one_of_ours_and_a_value_error_as_peft_raises() -> None:
    assert issubclass(TargetModulesError, LorettaError)
    assert issubclass(TargetModulesError, ValueError)


@both_methods
def test_a_target_that_is_no_linear_layer_is_refused_with_its_type(method: str) -> None:
    with pytest.raises(TargetModulesError, match="word_embeddings is a Embedding"):
        adapted("bert", method, target_modules=["word_embeddings"])


@both_methods
def test_a_name_matches_whole_parts_of_a_module_name_only(method: str) -> None:
    with pytest.raises(TargetModulesError, match=r"\['uery'\] not found"):
        adapted("bert", method, target_modules=["uery"])


@both_methods
def test_a_regular_expression_is_matched_as_peft_does(method: str) -> None:
    model = adapted("bert", method, target_modules=r".*layer\.1\.attention\.self\.(query|key)")
    expected = ["bert.encoder.layer.1.attention.self.query", "bert.encoder.layer.1.attention.self.key"]
    assert adapted_names(model) == expected


@both_methods
def test_all_linear_leaves_out_the_head(method: str) -> None:
    names = adapted_names(adapted("llama", method, target_modules="all-linear"))
    assert len(names) == 2 * 7
    assert "lm_head" not in names


@both_methods
@pytest.mark.parametrize(
    ("family", "layers"),
    [
        (family, layers)
        for family in (
            *("bert", "roberta", "deberta", "llama"),
            *("deberta-v2", "distilbert", "electra", "modernbert", "mpnet"),
        )
        for layers in (1, [0])
    ],
)
def test_only_the_layers_to_transform_are_adapted(method: str, family: str, layers: int | list[int]) -> None:
    every = adapted_names(adapted(family, method))
    chosen = adapted_names(adapted(family, method, layers_to_transform=layers))
    index = layers if isinstance(layers, int) else layers[0]
    assert chosen == [name for name in every if f".{index}." in name]
    assert 0 < len(chosen) < len(every)


@both_methods
@pytest.mark.parametrize("family", ["bert", "distilbert", "gpt2", "modernbert"])
def test_a_layer_that_the_model_does_not_have_is_refused(method: str, family: str) -> None:
    with pytest.raises(TargetModulesError, match=r"names the layers \[2\], but the last layer .* is 1\."):
        adapted(family, method, target_modules="all-linear", layers_to_transform=[0, 2])


@pytest.mark.parametrize("layers", [0, [1]])
def test_single_layers_of_a_model_with_one_shared_block_are_refused(layers: int | list[int]) -> None:
    for method in CONFIGS:
        with pytest.raises(TargetModulesError, match="all layers of albert share one block"):
            adapted("albert", method, layers_to_transform=layers)
    lora = peft.LoraConfig(target_modules=["query"], layers_to_transform=layers)
    with pytest.raises(TargetModulesError, match="all layers of albert share one block"):
        insert_adapter(tiny_model("albert"), lora)


@pytest.mark.parametrize(("family", "target"), [("bert", "query"), ("distilbert", "q_lin")])
def test_a_layer_that_the_model_does_not_have_is_refused_for_other_methods_too(
    family: str, target: str
) -> None:
    lora = peft.LoraConfig(target_modules=[target], layers_to_transform=[0, 2])
    with pytest.raises(TargetModulesError, match=r"names the layers \[2\]"):
        insert_adapter(tiny_model(family), lora)


@both_methods
def test_excluded_modules_are_left_alone(method: str) -> None:
    model = adapted(
        "bert", method, target_modules=["query", "value"], exclude_modules=["0.attention.self.value"]
    )
    names = adapted_names(model)
    assert len(names) == 3
    assert "bert.encoder.layer.0.attention.self.value" not in names


def test_the_placement_keeps_its_own_exclusions_unless_the_user_gives_some() -> None:
    names = adapted_names(adapted("bert", "adp", placement="mlp"))
    assert "bert.encoder.layer.0.attention.output.dense" not in names
    mine = adapted_names(adapted("bert", "adp", placement="mlp", exclude_modules=["intermediate.dense"]))
    assert "bert.encoder.layer.0.attention.output.dense" in mine
    assert "bert.encoder.layer.0.intermediate.dense" not in mine


@both_methods
def test_a_second_adapter_may_have_other_targets(method: str) -> None:
    model = adapted("bert", method, target_modules=["query"])
    model.add_adapter("second", CONFIGS[method](task_type="SEQ_CLS", target_modules=["query", "key"]))
    assert len(adapted_names(model)) == 4
    first = [name for name, _ in model.named_parameters() if "loretta" in name and ".default." in name]
    assert first
    assert all(".query." in name for name in first)


def test_candidates_are_the_last_names_of_the_linear_layers() -> None:
    assert candidate_names(TwoLayerNet()) == ["narrow", "wide"]
    assert candidate_names(nn.Sequential(nn.ReLU())) == []


@both_methods
def test_candidates_are_the_same_after_an_adapter_was_added(method: str) -> None:
    expected = ["classifier", "dense", "key", "query", "value"]
    assert candidate_names(tiny_model("bert")) == expected
    assert candidate_names(adapted("bert", method, "paper").get_base_model()) == expected
