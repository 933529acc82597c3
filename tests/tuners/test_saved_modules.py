"""Frozen-but-saved modules and fp32 modules inside a half-precision model."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from loretta_cli.tuners.merging import merge_into_base
from loretta_cli.tuners.saved_modules import (
    freeze_as_buffers,
    hold_copies_in_float32,
    hold_in_float32,
    release_float32,
    thaw,
)
from tests.tiny_models import tiny_model
from tests.tuners.adapters import adapted, copy_of_state, logits, train
from tests.tuners.baselines import with_method


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 6), nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 2)))


def test_freezing_leaves_no_parameter_and_the_same_state_dict() -> None:
    module = net()
    before, inputs = copy_of_state(module), torch.randn(3, 6)
    expected = module(inputs)
    freeze_as_buffers(module)
    assert list(module.parameters()) == []
    assert list(module.state_dict()) == list(before)
    assert torch.equal(module(inputs), expected)


def test_a_frozen_module_loads_a_state_dict() -> None:
    module, other = net(), net()
    with torch.no_grad():
        other[0].weight.add_(1.0)
    freeze_as_buffers(module)
    module.load_state_dict(other.state_dict())
    assert torch.equal(module[0].weight, other[0].weight)


def test_thawing_gives_the_parameters_back_without_training_them() -> None:
    module = net()
    before = copy_of_state(module)
    freeze_as_buffers(module)
    thaw(module)
    assert list(module.buffers()) == []
    assert {name for name, _ in module.named_parameters()} == set(before)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_freezing_survives_a_deep_copy() -> None:
    module = net()
    freeze_as_buffers(module)
    twin = copy.deepcopy(module)
    thaw(twin)
    assert len(list(twin.parameters())) == 6
    assert list(module.parameters()) == []


def test_a_module_in_fp32_speaks_the_half_precision_of_its_model() -> None:
    norm = nn.LayerNorm(6).to(torch.bfloat16)
    hold_in_float32(norm)
    assert norm.weight.dtype == torch.float32
    output = norm(torch.randn(3, 6, dtype=torch.bfloat16, requires_grad=True))
    assert output.dtype == torch.bfloat16
    output.sum().backward()
    assert norm.weight.grad is not None
    assert norm.weight.grad.dtype == torch.float32


def test_a_small_step_is_not_lost_in_fp32() -> None:
    norm = nn.LayerNorm(6).to(torch.bfloat16)
    hold_in_float32(norm)
    with torch.no_grad():
        norm.weight.sub_(1e-4)
    assert not torch.equal(norm.weight, torch.ones(6))


def test_holding_twice_hooks_once_and_releasing_undoes_it() -> None:
    norm = nn.LayerNorm(6).to(torch.bfloat16)
    hold_in_float32(norm)
    hold_in_float32(norm)
    assert (len(norm._forward_hooks), len(norm._forward_pre_hooks)) == (1, 1)
    release_float32(norm)
    assert (len(norm._forward_hooks), len(norm._forward_pre_hooks)) == (0, 0)
    assert norm.weight.dtype == torch.bfloat16


def test_a_module_in_full_precision_is_left_alone() -> None:
    norm = nn.LayerNorm(6)
    hold_in_float32(norm)
    release_float32(norm)
    assert not norm._forward_hooks
    assert norm.weight.dtype == torch.float32


def test_modules_that_the_user_names_are_saved_without_training() -> None:
    model = adapted(
        "bert", "rep", "standard", frozen_modules_to_save=["bert.pooler", "attention.output.LayerNorm"]
    )
    before = copy_of_state(model)
    names = [name for name in before if ".default." in name and ("pooler" in name or "LayerNorm" in name)]
    assert len(names) == 2 + 2 * 2
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert not trainable & set(names)
    train(model, "bert")
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in names)
    assert torch.equal(logits(adapted("bert", "rep", "standard")), logits(tiny_model("bert")))


@pytest.mark.parametrize("method", ["lora", "vera", "ia3", "prefix", "prompt", "p-tuning", "adp", "rep"])
def test_whatever_trains_in_a_half_precision_model_is_fp32(method: str) -> None:
    model = with_method("bert", method, model=tiny_model("bert", dtype=torch.bfloat16))
    trained = [value for value in model.parameters() if value.requires_grad]

    assert {value.dtype for value in trained} == {torch.float32}
    assert logits(model).dtype == torch.bfloat16
    reached = train(model, "bert")
    assert "classifier" in " ".join(reached)
    assert not hold_copies_in_float32(model), "all are held"


def test_a_model_in_full_precision_has_nothing_to_hold() -> None:
    model = with_method("bert", "lora")
    assert not hold_copies_in_float32(model)
    assert not any("float32_hooks" in module.__dict__ for module in model.modules())


def test_a_head_held_in_fp32_is_released_when_it_is_merged() -> None:
    model = with_method("bert", "lora", model=tiny_model("bert", dtype=torch.bfloat16))
    train(model, "bert")
    expected = logits(model).float()
    merged = merge_into_base(model)

    assert {value.dtype for value in merged.state_dict().values() if value.is_floating_point()} == {
        torch.bfloat16
    }
    assert not any("float32_hooks" in module.__dict__ for module in merged.modules())
    assert float((logits(merged).float() - expected).abs().max()) < 6e-2 * float(expected.abs().max())
