"""The learning rates that are proposed: a part of the present one, or the usual one where that is nearer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.config import load_config
from loretta_cli.training.watching.settings import Watched


def watched(rate: float, method: str = "rep", gradient: str = "backprop") -> Watched:
    asked = (f"training.learning_rate={rate}", f"adapter.method={method}", f"training.gradient={gradient}")
    return Watched(load_config(None, {}, asked).config, torch.float32, RunFolder(Path("run")))


@pytest.mark.parametrize(
    ("rate", "factor", "proposed"),
    [
        *((0.005, 0.1, "0.0005"), (0.01, 0.1, "0.001"), (0.05, 0.1, "0.005")),
        *((10, 0.1, "0.005"), (1e30, 0.1, "0.005")),
        *((1e-20, 100, "0.005"), (0.0016, 100, "0.005"), (0.004, 100, "0.4"), (0.001, 3, "0.005")),
        *((0.005, 3, "0.015"), (0.1, 3, "0.3")),
    ],
)
def test_the_usual_rate_is_proposed_from_far_away(rate: float, factor: float, proposed: str) -> None:
    assert watched(rate).rate_times(factor) == f"--set training.learning_rate={proposed}"


def test_the_usual_rate_is_that_of_method_and_gradient() -> None:
    assert watched(1.0, "full").rate_times(0.1).endswith("=5e-05")
    assert watched(1.0, "rep", "zo").rate_times(0.1).endswith("=0.003")
