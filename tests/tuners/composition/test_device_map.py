"""Bases placed by accelerate: whole, split, and with weights on disk or in a store.

What works: adapters on weights in memory, and offloading a model that has its adapter. What cannot:
putting an adapter on weights that are offloaded; it is refused in words (stock PEFT computes with
numbers that are not there, or fails in backward).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from accelerate import cpu_offload, disk_offload, dispatch_model

from loretta_cli.tuners.refusals import UnsupportedFeatureError
from tests.tiny_models import model_class, tiny_model
from tests.tuners.adapters import CONFIGS, adapted, config_for, logits, train

both_methods = pytest.mark.parametrize("method", CONFIGS)
families = pytest.mark.parametrize("family", ["bert", "llama"])
PARTS = {
    "bert": {
        "bert.embeddings": "cpu",
        "bert.encoder.layer.0": "cpu",
        "bert.encoder.layer.1": "cpu",
        "bert.pooler": "cpu",
        "dropout": "cpu",
        "classifier": "cpu",
    },
    "llama": {
        "model.embed_tokens": "cpu",
        "model.rotary_emb": "cpu",
        "model.layers.0": "cpu",
        "model.layers.1": "cpu",
        "model.norm": "cpu",
        "lm_head": "cpu",
    },
}
LAST_BLOCK = {"bert": "bert.encoder.layer.1", "llama": "model.layers.1"}
NOT_ADAPTED = {"bert": "bert.pooler", "llama": "model.embed_tokens"}


@pytest.fixture
def base(tmp_path: Path) -> Any:
    """Writes a base and reads it with a device map."""

    def read(family: str, device_map: Any) -> Any:
        folder = tmp_path / family
        if not folder.exists():
            tiny_model(family).save_pretrained(folder)
        return (
            model_class(family)
            .from_pretrained(folder, device_map=device_map, offload_folder=tmp_path / "offload")
            .eval()
        )

    return read


def trained(family: str, method: str, folder: Path) -> Any:
    model = adapted(family, method, "paper")
    train(model, family)
    model.save_pretrained(folder)
    return model


def devices_of_adapter(model: Any) -> set[str]:
    return {value.device.type for name, value in model.named_parameters() if "loretta_" in name}


@families
@both_methods
@pytest.mark.parametrize("device_map", ["auto", "cpu", {"": "cpu"}, "parts"], ids=str)
def test_an_adapter_loads_onto_a_placed_base_and_trains(
    family: str, method: str, device_map: Any, base: Any, tmp_path: Path
) -> None:
    expected = logits(trained(family, method, tmp_path / "adapter"))
    placed = base(family, PARTS[family] if device_map == "parts" else device_map)
    loaded = peft.PeftModel.from_pretrained(placed, tmp_path / "adapter", is_trainable=True).eval()
    assert devices_of_adapter(loaded) == {"cpu"}
    assert torch.equal(logits(loaded), expected)
    assert train(loaded, family, steps=1)


@families
@both_methods
def test_a_base_with_hooks_on_every_part_takes_a_new_adapter(family: str, method: str) -> None:
    placed = dispatch_model(tiny_model(family), PARTS[family], main_device="cpu", force_hooks=True)
    model = adapted(family, method, "paper", model=placed)
    expected = logits(adapted(family, method, "paper"))
    assert torch.equal(logits(model), expected)
    assert train(model, family) == {name for name, value in model.named_parameters() if value.requires_grad}


@families
@both_methods
@pytest.mark.parametrize("where", ["memory", "disk"])
def test_a_model_with_its_adapter_can_be_offloaded(
    family: str, method: str, where: str, tmp_path: Path
) -> None:
    model = trained(family, method, tmp_path / "adapter")
    expected = logits(model)
    if where == "memory":
        cpu_offload(model, execution_device=torch.device("cpu"))
    else:
        disk_offload(model, tmp_path / "offload", execution_device=torch.device("cpu"))
    assert devices_of_adapter(model) == {"meta"}
    assert torch.equal(logits(model), expected)


@pytest.mark.parametrize("init_weights", [True, "noise-reduction"])
def test_an_offloaded_rep_adapter_merges(init_weights: Any) -> None:
    model = adapted("bert", "rep", "paper", init_weights=init_weights)
    train(model, "bert")
    expected = logits(model)
    cpu_offload(model, execution_device=torch.device("cpu"))
    assert torch.equal(logits(model), expected)
    torch.testing.assert_close(logits(model.merge_and_unload()), expected, rtol=0, atol=2e-5)


@families
@both_methods
def test_weights_on_disk_that_are_not_adapted_do_no_harm(
    family: str, method: str, base: Any, tmp_path: Path
) -> None:
    placed = base(family, {**PARTS[family], NOT_ADAPTED[family]: "disk"})
    assert any(value.is_meta for value in placed.parameters())
    model = peft.get_peft_model(placed, config_for(family, method, "paper", dropout=0.0)).eval()
    assert torch.equal(logits(model), logits(tiny_model(family)))
    assert train(model, family) == {name for name, value in model.named_parameters() if value.requires_grad}
    model.save_pretrained(tmp_path / "adapter")
    loaded = peft.PeftModel.from_pretrained(base(family, "cpu"), tmp_path / "adapter").eval()
    assert torch.equal(logits(loaded), logits(model))


@families
@both_methods
@pytest.mark.parametrize("preset", ["paper", "lean"])
def test_an_adapter_on_weights_on_disk_is_refused_in_words(
    family: str, method: str, preset: str, base: Any, tmp_path: Path
) -> None:
    device_map = {**PARTS[family], LAST_BLOCK[family]: "disk"}
    told = rf"The weights of .*{LAST_BLOCK[family]}\S* are offloaded, .*device_map"
    with pytest.raises(UnsupportedFeatureError, match=told):
        peft.get_peft_model(base(family, device_map), config_for(family, method, preset))
    adapted(family, method, preset).save_pretrained(tmp_path / "adapter")
    with pytest.raises(UnsupportedFeatureError, match=told):
        peft.PeftModel.from_pretrained(
            base(family, device_map), tmp_path / "adapter", offload_folder=tmp_path / "offload"
        )


@families
@both_methods
def test_an_adapter_on_an_offloaded_model_is_refused_in_words(
    family: str, method: str, tmp_path: Path
) -> None:
    trained(family, method, tmp_path / "adapter")
    placed = cpu_offload(tiny_model(family), execution_device=torch.device("cpu"))
    with pytest.raises(UnsupportedFeatureError, match="are offloaded"):
        peft.PeftModel.from_pretrained(placed, tmp_path / "adapter")


@both_methods
def test_a_model_built_without_memory_is_no_offloaded_one(method: str) -> None:
    with torch.device("meta"):
        model = model_class("llama")(tiny_model("llama").config)
    counted = peft.get_peft_model(model, config_for("llama", method, "paper"))
    assert devices_of_adapter(counted) == {"meta"}
