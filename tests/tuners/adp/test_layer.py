"""The layer of adp: where it stands, its nonlinearity, its scale, and that it never merges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from loretta_cli.errors import ConfigError
from loretta_cli.tuners import LorettaAdpConfig
from loretta_cli.tuners.adp import AdpLayer

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "tanh": torch.tanh,
}


def layer(base: nn.Module, **settings: Any) -> AdpLayer:
    """A random adp layer over ``base``."""
    values: dict[str, Any] = {
        "bottleneck": 64,
        "tt_rank": 5,
        "alpha": 64.0,
        "dropout": 0.0,
        "activation": "relu",
        "adapter_bias": True,
        "init_weights": False,
    }
    torch.manual_seed(0)
    made = AdpLayer(base, "default", LorettaAdpConfig(**values | settings), module_name="block.linear")
    for train in (made.loretta_adp_down["default"], made.loretta_adp_up["default"]):
        if train.bias is not None:
            nn.init.normal_(train.bias)
    return made


def by_hand(made: AdpLayer, hidden: torch.Tensor, activation: str = "relu") -> torch.Tensor:
    """``h + s up(act(down(h)))`` from dense matrices."""
    down, up = made.loretta_adp_down["default"], made.loretta_adp_up["default"]
    inner = ACTIVATIONS[activation](hidden @ down.dense() + down.bias)
    return hidden + made.scaling["default"] * (inner @ up.dense() + up.bias)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_output_passes_through_the_bottleneck(activation: str) -> None:
    made = layer(nn.Linear(24, 48), activation=activation)
    inputs = torch.randn(2, 5, 24)
    expected = by_hand(made, made.get_base_layer()(inputs), activation)
    torch.testing.assert_close(made(inputs), expected, rtol=1e-4, atol=1e-4)


def test_the_input_passes_through_the_bottleneck_where_the_layer_is_an_input_module() -> None:
    made = layer(nn.Linear(24, 48), input_modules=["linear"])
    inputs = torch.randn(2, 24)
    assert made.loretta_adp_down["default"].shape.in_features == 24
    expected = made.get_base_layer()(by_hand(made, inputs))
    torch.testing.assert_close(made(inputs), expected, rtol=1e-4, atol=1e-4)


def test_a_name_that_only_ends_alike_is_no_input_module() -> None:
    made = layer(nn.Linear(24, 48), input_modules=["ear"])
    assert made.on_input == {"default": False}


def test_the_update_is_scaled_by_alpha_over_bottleneck() -> None:
    made = layer(nn.Linear(24, 48), alpha=16.0)
    assert made.scaling["default"] == 0.25
    inputs = torch.randn(2, 24)
    expected = by_hand(made, made.get_base_layer()(inputs))
    torch.testing.assert_close(made(inputs), expected, rtol=1e-4, atol=1e-4)


def test_without_biases_only_cores_are_there() -> None:
    made = layer(nn.Linear(24, 48), adapter_bias=False)
    names = [name for name, _ in made.named_parameters() if "loretta" in name]
    assert names
    assert all(".core" in name for name in names)


def test_modes_of_the_user_are_taken_for_both_projections() -> None:
    made = layer(nn.Linear(24, 48), mode_shapes={"48x64": [48, 64], "64x48": [64, 4, 12]})
    assert made.loretta_adp_down["default"].shape.modes == (48, 64)
    assert made.loretta_adp_up["default"].shape.modes == (64, 4, 12)


def test_a_bottleneck_of_one_works() -> None:
    made = layer(nn.Linear(24, 48), bottleneck=1, alpha=1.0)
    inputs = torch.randn(2, 24)
    expected = by_hand(made, made.get_base_layer()(inputs))
    torch.testing.assert_close(made(inputs), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bottleneck", [0, -4])
def test_a_bottleneck_below_one_is_refused(bottleneck: int) -> None:
    with pytest.raises(ConfigError, match=f"found bottleneck={bottleneck}"):
        layer(nn.Linear(24, 48), bottleneck=bottleneck)


def test_merging_the_layer_is_refused_with_the_reason() -> None:
    made = layer(nn.Linear(24, 48))
    before = made.get_base_layer().weight.detach().clone()
    with pytest.raises(ValueError, match="nonlinearity between its projections"):
        made.merge()
    assert torch.equal(made.get_base_layer().weight, before)
    assert not made.merged
