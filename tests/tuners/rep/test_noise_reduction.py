"""The paper's initialisation: both trains random, their first product subtracted and saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch

from loretta_cli.tuners.rep import RepLayer
from tests.tiny_models import FAMILIES, same_base_other_head, tiny_model
from tests.tuners.adapters import (
    adapted,
    config_for,
    copy_of_state,
    hidden_states,
    logits,
    saved_tensors,
    train,
    trainable_count,
)

HALF = torch.bfloat16


def noisy(family: str, dtype: torch.dtype = torch.float32) -> Any:
    return adapted(
        family, "rep", "standard", model=tiny_model(family, dtype=dtype), init_weights="noise-reduction"
    )


def first_layer(model: Any) -> RepLayer:
    return next(module for module in model.modules() if isinstance(module, RepLayer))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float32, HALF], ids=str)
def test_the_backbone_is_bit_for_bit_the_same_before_training(family: str, dtype: torch.dtype) -> None:
    expected = hidden_states(tiny_model(family, dtype=dtype))
    model = noisy(family, dtype)
    assert all(torch.equal(one, other) for one, other in zip(hidden_states(model), expected, strict=True))
    assert all(core.any() for core in first_layer(model).loretta_rep_B["default"].cores)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_core_has_a_gradient_at_the_first_step_and_the_start_never_moves(family: str) -> None:
    model = noisy(family)
    before = copy_of_state(model)
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert not any("start" in name for name in trainable)
    assert train(model, family, steps=1) == trainable
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == trainable


def test_as_many_parameters_train_as_without_it() -> None:
    assert trainable_count(noisy("bert")) == trainable_count(adapted("bert", "rep", "standard"))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("dtype", "low_memory"), [(torch.float32, False), (torch.float32, True), (HALF, False)], ids=str
)
def test_the_start_is_saved_and_loaded_under_another_name(
    family: str, dtype: torch.dtype, low_memory: bool, tmp_path: Path
) -> None:
    state = copy_of_state(tiny_model(family, dtype=dtype))
    model = noisy(family, dtype)
    train(model, family)
    model.save_pretrained(tmp_path)
    assert any("loretta_rep_start" in name for name in saved_tensors(tmp_path))
    loaded = peft.PeftModel.from_pretrained(
        same_base_other_head(family, state), tmp_path, adapter_name="other", low_cpu_mem_usage=low_memory
    )
    assert torch.equal(logits(loaded.eval()), logits(model))


def test_the_start_goes_with_its_adapter() -> None:
    model = noisy("bert")
    model.add_adapter("second", config_for("bert", "rep", init_weights="noise-reduction"))
    assert any("loretta_rep_start_A.second" in name for name in model.state_dict())
    model.delete_adapter("second")
    assert not any("second" in name for name in model.state_dict())


def test_disabling_and_enabling_keeps_the_start_frozen() -> None:
    model = noisy("bert")
    before = trainable_count(model)
    with model.disable_adapter():
        pass
    assert trainable_count(model) == before


@pytest.mark.parametrize("family", [*FAMILIES, "gpt2"])
def test_merging_is_exact(family: str) -> None:
    model = adapted(family, "rep", init_weights="noise-reduction")
    train(model, family)
    expected = logits(model)
    torch.testing.assert_close(logits(model.merge_and_unload()), expected, rtol=0, atol=1e-4)


def test_the_factors_hold_the_difference_at_twice_the_rank() -> None:
    model = noisy("bert")
    layer = first_layer(model)
    torch.testing.assert_close(layer.get_delta_weight("default"), torch.zeros(48, 48), rtol=0, atol=1e-6)
    train(model, "bert", learning_rate=0.1)
    left, right = layer.factors("default")
    assert left.shape[1] == right.shape[0] == 10
    torch.testing.assert_close(layer.get_delta_weight("default"), (left @ right).T)
    inputs = torch.randn(3, 48)
    torch.testing.assert_close(
        layer(inputs), layer.get_base_layer()(inputs) + inputs @ left @ right, rtol=1e-4, atol=1e-4
    )
