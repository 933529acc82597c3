"""The layer of rep: its factors, its narrowest place, its scale."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from loretta_cli.errors import ConfigError
from loretta_cli.tt import choose_mode_shape
from loretta_cli.tuners import LorettaRepConfig
from loretta_cli.tuners.rep import RepLayer
from loretta_cli.tuners.rep.folding import FactorTrain, fold


def layer(base: nn.Module, **settings: Any) -> RepLayer:
    """A random rep layer over ``base``."""
    values: dict[str, Any] = {
        "r": 8,
        "tt_rank": 5,
        "alpha": 16.0,
        "dropout": 0.0,
        "init_weights": False,
    } | settings
    torch.manual_seed(0)
    return RepLayer(base, "default", LorettaRepConfig(**values), module_name="linear")


def dense_update(made: RepLayer) -> torch.Tensor:
    """The update as (in, out), from the two dense matrices."""
    product = made.loretta_rep_A["default"].dense() @ made.loretta_rep_B["default"].dense()
    return product * made.scaling["default"]


@pytest.mark.parametrize(
    ("r", "rank", "narrowest"), [(8, 5, 5), (4, 5, 4), (8, 20, 8), (1, 5, 1), (8, [3, 2], 2), (8, 1, 1)]
)
def test_the_factors_are_the_update_through_its_narrowest_place(
    r: int, rank: int | list[int], narrowest: int
) -> None:
    made = layer(nn.Linear(48, 48), r=r, tt_rank=rank)
    left, right = made.factors("default")
    assert (left.shape, right.shape) == ((48, narrowest), (narrowest, 48))
    assert left.t().is_contiguous()  # the fast layout for many rows
    torch.testing.assert_close(left @ right, dense_update(made), rtol=1e-5, atol=1e-5)


def test_the_factors_are_the_delta_weight_in_the_layout_of_the_base() -> None:
    linear, conv = layer(nn.Linear(48, 24)), layer(Conv1D(24, 48))
    for made, weight in ((linear, linear.get_base_layer().weight.T), (conv, conv.get_base_layer().weight)):
        left, right = made.factors("default")
        delta = made.get_delta_weight("default")
        assert delta.shape == made.get_base_layer().weight.shape
        assert weight.shape == (48, 24)
        in_by_out = delta if made.fan_in_fan_out else delta.T
        assert torch.equal(in_by_out, left @ right)


def test_forward_adds_the_scaled_update() -> None:
    made = layer(nn.Linear(48, 24), alpha=24.0)
    assert made.scaling["default"] == 3.0
    inputs = torch.randn(2, 5, 48)
    expected = made.get_base_layer()(inputs) + inputs @ dense_update(made)
    torch.testing.assert_close(made(inputs), expected, rtol=1e-4, atol=1e-4)


def test_a_straddling_train_gives_the_right_update() -> None:
    made = layer(nn.Linear(4096, 1024), r=16, tt_rank=8)
    assert made.loretta_rep_B["default"].factors() is None
    left, right = made.factors("default")
    assert left.shape[1] == 8
    torch.testing.assert_close(left @ right, dense_update(made), rtol=1e-4, atol=1e-4)
    inputs = torch.randn(3, 4096)
    expected = made.get_base_layer()(inputs) + inputs @ dense_update(made)
    torch.testing.assert_close(made(inputs), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("inputs", "r", "outputs"), [(48, 8, 144), (4096, 16, 1024), (4096, 16, 16), (1024, 16, 1024)]
)
def test_folding_is_exact_wherever_the_narrowest_place_is(inputs: int, r: int, outputs: int) -> None:
    torch.manual_seed(0)
    first = FactorTrain(choose_mode_shape(inputs, r), 3).double()
    second = FactorTrain(choose_mode_shape(r, outputs), 6).double()
    left, right = fold(first, second, 0.5)
    torch.testing.assert_close(left @ right, 0.5 * first.dense() @ second.dense(), rtol=1e-10, atol=1e-10)


def test_an_adapter_of_one_mode_shape_of_the_user_has_these_modes() -> None:
    made = layer(nn.Linear(48, 24), mode_shapes={"48x8": [4, 12, 8], "8x24": [192]})
    assert made.loretta_rep_A["default"].shape.modes == (4, 12, 8)
    assert made.loretta_rep_B["default"].shape.modes == (192,)
    left, right = made.factors("default")
    torch.testing.assert_close(left @ right, dense_update(made), rtol=1e-5, atol=1e-5)


def test_an_inactive_adapter_has_no_effect() -> None:
    made = layer(nn.Linear(48, 24))
    made.set_adapter([])
    inputs = torch.randn(2, 48)
    assert torch.equal(made(inputs), made.get_base_layer()(inputs))


def test_replacing_an_adapter_forgets_the_start_of_the_old_one() -> None:
    made = layer(nn.Linear(48, 24), init_weights="noise-reduction")
    made.update_layer(
        "default",
        LorettaRepConfig(r=8, tt_rank=5, alpha=16.0, dropout=0.0, init_weights=False),
        module_name="linear",
    )
    inputs = torch.randn(2, 48)
    expected = made.get_base_layer()(inputs) + inputs @ dense_update(made)
    torch.testing.assert_close(made(inputs), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("r", [0, -1])
def test_a_bottleneck_below_one_is_refused(r: int) -> None:
    with pytest.raises(ConfigError, match=f"found r={r}"):
        layer(nn.Linear(48, 24), r=r)
