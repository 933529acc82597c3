"""A parameter with trained copies: what its module shows, and what merging does to the base."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from loretta_cli.tuners.refusals import UnsupportedFeatureError
from loretta_cli.tuners.selected import SelectedParameter
from loretta_cli.tuners.selected.parameter import own_parameters, selected_parameter


def selected(*adapters: str, dtype: torch.dtype = torch.float32) -> tuple[nn.Linear, SelectedParameter]:
    """A linear layer whose weight has copies, each one larger than the base by its place from 1."""
    torch.manual_seed(0)
    linear = nn.Linear(3, 2, dtype=dtype).requires_grad_(False)
    parameter = SelectedParameter(linear, "weight", [adapters[0]])
    parametrize.register_parametrization(linear, "weight", parameter, unsafe=True)
    for place, name in enumerate(adapters, start=1):
        parameter.update_layer(name, inference_mode=False)
        parameter.loretta_selected_copies[name].data += place
    return linear, parameter


def test_the_module_keeps_its_class_and_shows_the_active_copy() -> None:
    linear, parameter = selected("one", "two")
    base = parameter.original.clone()

    assert isinstance(linear, nn.Linear)
    assert torch.equal(linear.weight, base + 1)
    parameter.set_adapter("two")
    assert torch.equal(linear.weight, base + 2)
    parameter.enable_adapters(enabled=False)
    assert torch.equal(linear.weight, base)


def test_only_the_active_copy_trains() -> None:
    linear, _ = selected("one", "two")
    linear(torch.ones(1, 3)).sum().backward()

    reached = [name for name, value in linear.named_parameters() if value.grad is not None]
    assert reached == ["parametrizations.weight.0.loretta_selected_copies.one"]


def test_a_copy_in_float32_speaks_the_dtype_of_its_model() -> None:
    linear, parameter = selected("one", dtype=torch.bfloat16)
    parameter.loretta_selected_copies["one"].data = parameter.loretta_selected_copies["one"].data.float()
    output = linear(torch.ones(1, 3, dtype=torch.bfloat16))
    output.sum().backward()
    gradient = parameter.loretta_selected_copies["one"].grad

    assert output.dtype == torch.bfloat16
    assert gradient is not None
    assert gradient.dtype == torch.float32


def test_merging_writes_into_the_base_and_unmerging_puts_it_back() -> None:
    linear, parameter = selected("one")
    base = parameter.original.clone()

    parameter.merge()
    assert torch.equal(parameter.original, base + 1)
    assert torch.equal(linear.weight, base + 1)
    parameter.unmerge()
    assert torch.equal(parameter.original, base)
    assert torch.equal(linear.weight, base + 1)


def test_a_merged_parameter_that_is_disabled_shows_the_base() -> None:
    linear, parameter = selected("one")
    base = parameter.original.clone()
    parameter.merge()
    parameter._disable_adapters = True

    assert torch.equal(linear.weight, base)


def test_a_safe_merge_refuses_what_is_not_finite() -> None:
    _, parameter = selected("one")
    parameter.loretta_selected_copies["one"].data[0, 0] = torch.nan

    with pytest.raises(ValueError, match="NaNs detected"):
        parameter.merge(safe_merge=True)
    assert torch.isfinite(parameter.original).all()


def test_two_active_adapters_are_refused() -> None:
    linear, parameter = selected("one", "two")
    both: Any = ["one", "two"]
    parameter.set_adapter(both)

    with pytest.raises(UnsupportedFeatureError, match="activate one of them"):
        linear(torch.ones(1, 3))


def test_a_copy_of_the_module_is_one_of_its_own() -> None:
    linear, parameter = selected("one")
    other = copy.deepcopy(linear)
    found = selected_parameter(other, "weight")

    assert isinstance(found, SelectedParameter)
    assert found is not parameter
    found.merge()
    assert not torch.equal(found.original, parameter.original)


def test_other_parametrisations_are_left_alone() -> None:
    linear = parametrize.register_parametrization(nn.Linear(3, 2), "weight", nn.Identity())

    assert set(own_parameters(linear)) == {"bias"}
    assert selected_parameter(linear, "weight") is None
    assert selected_parameter(linear, "bias") is None
