"""Hooks change a layer's input or output, in fp32 and back, and a wrong name is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from loretta_cli.artifacts.export.on_base import Side, add, change, replace
from loretta_cli.errors import ExportError


def model(dtype: torch.dtype = torch.float32) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 4), nn.Tanh()).to(dtype)


X = torch.arange(8.0).reshape(2, 4) / 8


@pytest.mark.parametrize("side", ["input", "output"])
def test_a_side_passes_through_the_function(side: Side) -> None:
    changed, plain = model(), model()
    change(changed, "0", side, lambda h: 2 * h)

    expected = torch.tanh(plain[0](2 * X) if side == "input" else 2 * plain[0](X))
    assert torch.equal(changed(X), expected)


def test_an_update_of_the_input_is_added() -> None:
    changed, plain = model(), model()
    add(changed, "0", lambda x: 3 * x)

    assert torch.allclose(changed(X), torch.tanh(plain[0](X) + 3 * X))


def test_the_function_sees_fp32_and_the_model_keeps_its_dtype() -> None:
    changed, seen = model(torch.bfloat16), []

    def look(h: torch.Tensor) -> torch.Tensor:
        seen.append(h.dtype)
        return h

    change(changed, "0", "input", look)
    change(changed, "0", "output", look)
    add(changed, "0", look)

    assert changed(X.bfloat16()).dtype == torch.bfloat16
    assert seen == [torch.float32] * 3


def test_tensors_take_the_place_of_others() -> None:
    changed = model()
    replace(changed, {"0.bias": torch.full((4,), 7.0)})

    assert changed[0].bias.tolist() == [7.0] * 4


def test_a_tensor_that_the_model_lacks_is_refused() -> None:
    with pytest.raises(ExportError, match=r"The base model has no tensor 1\.weight"):
        replace(model(), {"1.weight": torch.zeros(2)})
