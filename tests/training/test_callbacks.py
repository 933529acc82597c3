"""What is kept of a training beside the loop."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import metric_records
from tests.training.trainers import make_place, run_of


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_place(tmp_path_factory.mktemp("callbacks"))


@pytest.mark.parametrize("accumulated", [1, 2])
def test_every_record_of_a_zeroth_order_run_has_the_forward_passes_of_its_trajectory(
    accumulated: int, place: Path, tmp_path: Path
) -> None:
    settings = ("gradient=zo", "max_steps=6", "log_every=2", "evaluate_every=3", "batch_size=4")
    run = run_of(
        place,
        tmp_path / "run",
        *(f"training.{setting}" for setting in settings),
        f"training.gradient_accumulation={accumulated}",
        "zo.schedule=adazeta",
        "zo.alpha=2",
        "zo.backend=sequential",
    )

    header, *steps = map(json.loads, run.trajectory.read_text(encoding="utf-8").splitlines())
    records = metric_records(run.path)
    assert {record["split"] for record in records} == {"train", "validation"}
    for record in records:
        assert record["forward_passes"] == steps[record["step"] - 1]["forward_passes"]
    assert records[0]["forward_passes"] == header["header"]["passes"] + 2 * 2 * accumulated
    assert records[-1]["forward_passes"] == run.read_report()["zeroth_order"]["forward_passes"]


def test_a_run_with_exact_gradients_counts_none(place: Path, tmp_path: Path) -> None:
    run = run_of(place, tmp_path / "run", "training.max_steps=2", "training.evaluate_every=2")

    assert all("forward_passes" not in record for record in metric_records(run.path))


@pytest.mark.parametrize(
    ("method", "objective", "has_one"),
    [("full", "loss", False), ("adp", "loss", True), ("adp", "accuracy", True)],
)
def test_a_gradient_that_was_never_formed_has_no_norm_and_one_that_is_zero_has_one(
    method: str, objective: str, has_one: bool, place: Path, tmp_path: Path
) -> None:
    run = run_of(
        place,
        tmp_path / "run",
        *(f"training.{setting}" for setting in ("gradient=zo", "max_steps=2", "log_every=1")),
        "zo.epsilon=0.001",
        f"training.objective={objective}",
        method=method,
    )

    trained = [record for record in metric_records(run.path) if record["split"] == "train"]
    assert len(trained) == 2
    assert all(("grad_norm" in record) == has_one for record in trained)


def test_a_step_without_a_finite_loss_has_neither_loss_nor_norm(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loretta_cli.training.gradients.zeroth_order import ZerothOrder

    of_all, asked = ZerothOrder._of_all, []

    def broken_at_first(*arguments: Any) -> dict[Any, float]:
        asked.append(1)
        found = of_all(*arguments)
        return dict.fromkeys(found, math.nan) if len(asked) <= 2 else found

    monkeypatch.setattr(ZerothOrder, "_of_all", broken_at_first)
    run = run_of(
        place,
        tmp_path / "run",
        *(f"training.{setting}" for setting in ("gradient=zo", "max_steps=4", "log_every=1")),
        "zo.epsilon=0.001",
        "zo.backend=sequential",
    )

    trained = [record for record in metric_records(run.path) if record["split"] == "train"]
    assert ["loss" in record for record in trained] == [False, False, True, True]
    assert ["grad_norm" in record for record in trained] == [False, False, True, True]
    assert trained[2]["loss"] > 0.1
