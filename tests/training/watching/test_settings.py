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
    assert watched(1.0, "rep", "zo").rate_times(0.1) == (
        "--set training.learning_rate=0.003 --set zo.second_moment=0.99"
    ), "the usual rate counts in the unit of the second moment"


def test_the_second_moment_of_a_default_rate_goes_along() -> None:
    asked = ("training.gradient=zo", "training.learning_rate=0.004", "zo.second_moment=0.9")
    run = Watched(load_config(None, {}, asked).config, torch.float32, RunFolder(Path("run")))

    assert run.rate_times(0.1) == "--set training.learning_rate=0.0004 --set zo.second_moment=0.9"
    assert watched(0.004, "rep", "zo").rate_times(0.1) == "--set training.learning_rate=0.0004"
    assert watched(0.004).rate_times(0.1) == "--set training.learning_rate=0.0004"


@pytest.mark.parametrize(
    ("rate", "proposed"),
    [(0.005, ["0.0005", "0.015"]), (0.5, ["0.005"]), (1e-6, ["0.005"]), (0.001, ["0.005"])],
)
def test_a_rate_that_is_far_off_is_changed_in_one_direction(rate: float, proposed: list[str]) -> None:
    assert watched(rate).other_rates() == [f"--set training.learning_rate={one}" for one in proposed]


def test_an_estimate_that_teaches_nothing_gets_a_higher_rate_first() -> None:
    assert [one.split("=")[1] for one in watched(0.003, "rep", "zo").other_rates()] == ["0.009", "0.0003"]
