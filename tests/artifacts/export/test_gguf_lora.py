"""A LoRA in GGUF does in llama.cpp what the adapter does in transformers, for each family and every layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gguf", reason="the extra export is not installed")

import gguf
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from loretta_cli.artifacts.engines import llama_cpp
from loretta_cli.artifacts.engines.agreement import agreement, reference
from loretta_cli.artifacts.export.gguf_lora_file import write_adapter
from loretta_cli.artifacts.export.low_rank import low_rank_updates
from loretta_cli.models.gguf_names import gguf_architecture, in_gguf_order, tensor_names
from loretta_cli.tuners import LorettaRepConfig
from tests.gguf_models import ARCHITECTURES, CHANGES, write_gguf
from tests.tiny_folders import decoder_tokenizer
from tests.tiny_models import tiny_model

TOKENIZER = decoder_tokenizer()
ROWS: list[dict[str, Any]] = [
    {"input_ids": TOKENIZER(text)["input_ids"], "options": [[100], [7, 8]]}
    for text in ("the film was great", "a sad day", "the river is cold water, and the day is sad")
]
LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
FUSED = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")


def base_model(family: str) -> Any:
    return tiny_model(family, vocab_size=len(TOKENIZER), **CHANGES.get(family, {}))


def with_rep(base: Any, layers: tuple[str, ...], **settings: Any) -> PeftModel:
    """rep with random trains."""
    config = LorettaRepConfig(
        **{
            **{"task_type": "CAUSAL_LM", "target_modules": list(layers), "init_weights": False},
            **{"r": 6, "tt_rank": 3, "alpha": 60.0},
            **settings,
        }
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return get_peft_model(base, config).eval()


def exported(model: PeftModel, file: Path) -> Path:
    config = model.get_base_model().config
    updates = low_rank_updates(model)
    names = tensor_names(config, list(updates))
    tensors = {names[layer]: (a, in_gguf_order(b, layer, config)) for layer, (a, b) in updates.items()}
    write_adapter(file, tensors, gguf_architecture(config.model_type).name)
    return file


def assert_llama_cpp_agrees(model: PeftModel, base_file: Path, adapter: Path) -> None:
    """With the adapter it agrees, and without it does not: the adapter does something."""
    if not llama_cpp.is_installed():
        pytest.skip("the extra test-export is not installed")
    asked = reference(model, ROWS)
    found = agreement(asked, base_file, adapters=[adapter])
    assert found.passed, found
    assert found.comparison.max_abs_difference < 5e-3
    assert not agreement(asked, base_file).comparison.passed


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_rep_on_every_layer_of_a_family(family: str, tmp_path: Path) -> None:
    base = base_model(family)
    base_file = write_gguf(base, TOKENIZER, tmp_path / "base.gguf")
    model = with_rep(base, FUSED if family == "phi3" else LAYERS)

    assert_llama_cpp_agrees(model, base_file, exported(model, tmp_path / "adapter.gguf"))


@pytest.mark.parametrize("layer", ["q_proj", "k_proj"])
def test_rows_in_the_order_of_transformers_would_be_noticed(layer: str, tmp_path: Path) -> None:
    if not llama_cpp.is_installed():
        pytest.skip("the extra test-export is not installed")
    base = base_model("llama")
    base_file = write_gguf(base, TOKENIZER, tmp_path / "base.gguf")
    model = with_rep(base, (layer,))
    updates = low_rank_updates(model)
    names = tensor_names(base.config, list(updates))
    write_adapter(tmp_path / "wrong.gguf", {names[layer]: pair for layer, pair in updates.items()}, "llama")

    found = agreement(reference(model, ROWS), base_file, adapters=[tmp_path / "wrong.gguf"])

    assert not found.comparison.passed


def test_a_lora_with_a_rank_and_a_scale_of_its_own_in_each_layer(tmp_path: Path) -> None:
    base = base_model("llama")
    base_file = write_gguf(base, TOKENIZER, tmp_path / "base.gguf")
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=8,
        lora_alpha=24,
        target_modules=list(LAYERS),
        rank_pattern={"q_proj": 2, "down_proj": 5},
        alpha_pattern={"v_proj": 3},
        init_lora_weights=False,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = get_peft_model(base, config).eval()

    assert_llama_cpp_agrees(model, base_file, exported(model, tmp_path / "adapter.gguf"))


def test_a_noise_reduced_rep_subtracts_its_beginning(tmp_path: Path) -> None:
    base = base_model("llama")
    base_file = write_gguf(base, TOKENIZER, tmp_path / "base.gguf")
    model = with_rep(base, LAYERS, init_weights="noise-reduction")
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(1)
        for name, parameter in model.named_parameters():
            if "loretta_rep_B" in name:
                parameter.normal_(std=0.3)

    assert_llama_cpp_agrees(model, base_file, exported(model, tmp_path / "adapter.gguf"))


def test_the_file_says_what_it_is_and_holds_the_lowest_rank(tmp_path: Path) -> None:
    model = with_rep(base_model("qwen2"), ("q_proj", "v_proj"))

    reader = gguf.GGUFReader(exported(model, tmp_path / "adapter.gguf"))

    def said(key: str) -> Any:
        field = reader.get_field(key)
        assert field is not None
        return field.contents()

    assert said("general.type") == "adapter"
    assert said("adapter.type") == "lora"
    assert said("general.architecture") == "qwen2"
    assert said("adapter.lora.alpha") == 3.0
    shapes = {tensor.name: tuple(reversed(tensor.shape.tolist())) for tensor in reader.tensors}
    assert shapes == {
        f"blk.{block}.attn_{one}.weight.lora_{side}": shape
        for block in (0, 1)
        for one, width in (("q", 48), ("v", 24))
        for side, shape in (("a", (3, 48)), ("b", (width, 3)))
    }
