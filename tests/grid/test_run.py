"""Running a grid: what is skipped, resumed, survived. Training itself is replaced."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from loretta_cli.config import Config, write_config
from loretta_cli.errors import DataError, TrainingError
from loretta_cli.grid import run as grid_run
from loretta_cli.grid import writing
from loretta_cli.grid.axes import Axes
from loretta_cli.grid.cells import Cell
from loretta_cli.grid.checks import Check
from loretta_cli.grid.folder import GridFolder
from loretta_cli.report import Reporter, SilentReporter
from loretta_cli.training.finishing import TrainReport
from tests.grid.fake_runs import cells_of, finish, write_run

GRID = Axes(methods=("rep", "lora", "adp"), tasks=("sst2",))


class Listener(SilentReporter):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.steps: list[int] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def progress(self, step: int) -> None:
        self.steps.append(step)


class Training:
    """Stands for training: writes a finished run, or ends as ``ends`` says for a method."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bool]] = []
        self.configs: list[Config] = []
        self.ends: dict[str, BaseException] = {}

    def __call__(
        self, config: Config, folder: Path, reporter: Reporter, *, resume: bool = False
    ) -> TrainReport:
        self.calls.append((folder.name, resume))
        self.configs.append(config)
        reporter.note("not to be heard")
        reporter.progress(1)
        reporter.warn("loud")
        if (end := self.ends.get(config.adapter.method)) is not None:
            folder.mkdir(parents=True)
            write_config(config, folder / "config.yaml")
            raise end
        if not resume:
            write_run(folder, config, 0.75)
        values: dict[str, Any] = dict.fromkeys((field.name for field in dataclasses.fields(TrainReport)), 0)
        return TrainReport(**{**values, "metrics": {"accuracy": 0.75}, "main_metric": "accuracy"})


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Training:
    """In the place of training; pictures, which take their time, are not drawn, and all cells can run."""
    monkeypatch.setattr(writing, "draw_comparison", lambda folder, comparison: None)
    monkeypatch.setattr(grid_run, "check_cells", lambda cells: {cell.name: Check(1000) for cell in cells})
    stand_in = Training()
    monkeypatch.setattr(grid_run, "train", stand_in)
    return stand_in


def names(training: Training) -> list[str]:
    """The methods that were trained, in order."""
    return [name.split("-")[1] for name, _ in training.calls]


def test_a_finished_run_is_kept_and_the_others_are_trained(tmp_path: Path, training: Training) -> None:
    folder, cells, listener = GridFolder(tmp_path), cells_of(GRID), Listener()
    finish(folder, cells[0], 0.9)

    comparison = grid_run.run_grid(folder, cells, listener)

    assert names(training) == ["lora", "adp"]
    assert [row.tasks["sst2"].mean for row in comparison.rows] == [0.9, 0.75, 0.75]
    assert listener.notes[:4] == [
        "1 of 3 cells was done before",
        "checking 2 cells before the first one runs",
        "cell 2 of 3: sst2-lora-minilm-seed0",
        "sst2-lora-minilm-seed0: accuracy 0.7500, 0.0 s",
    ]
    assert re.fullmatch(
        r"cell 3 of 3: sst2-adp-minilm-seed0, \d+ s gone, about \d+ s left", listener.notes[4]
    )
    training.calls.clear()
    grid_run.run_grid(folder, cells, listener)
    assert not training.calls


def test_of_a_run_the_progress_and_the_warnings_are_heard_only(tmp_path: Path, training: Training) -> None:
    listener = Listener()
    grid_run.run_grid(GridFolder(tmp_path), cells_of(GRID), listener)

    assert "not to be heard" not in listener.notes
    assert listener.steps == [1, 1, 1]
    assert listener.warnings[0] == "sst2-rep-minilm-seed0: loud"


@pytest.mark.parametrize("error", [TrainingError("It diverged."), ValueError("a bug")])
def test_a_run_that_fails_is_noted_and_the_rest_goes_on(
    tmp_path: Path, training: Training, error: Exception
) -> None:
    folder, cells, listener = GridFolder(tmp_path), cells_of(GRID), Listener()
    training.ends["lora"] = error

    comparison = grid_run.run_grid(folder, cells, listener)

    assert [cell.state for cell in comparison.cells] == ["finished", "failed", "finished"]
    assert str(error) in comparison.failed[0].reason
    assert any("sst2-lora-minilm-seed0 failed" in warning for warning in listener.warnings)
    assert str(error) in folder.table.read_text(encoding="utf-8")


def test_a_failed_run_is_tried_again_only_where_that_is_asked_for(tmp_path: Path, training: Training) -> None:
    folder, cells = GridFolder(tmp_path), cells_of(GRID)
    training.ends["lora"] = TrainingError("The disk is full.")
    grid_run.run_grid(folder, cells, Listener())
    training.calls.clear()
    training.ends.clear()

    grid_run.run_grid(folder, cells, Listener())
    assert not training.calls
    grid_run.run_grid(folder, cells, Listener(), retry_failed=True)

    assert training.calls == [("sst2-lora-minilm-seed0", True)]
    assert not folder.failure_file(cells[1]).exists()


def test_an_interrupted_run_is_resumed_with_its_own_settings(tmp_path: Path, training: Training) -> None:
    folder, cells = GridFolder(tmp_path), cells_of(GRID)
    training.ends["lora"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        grid_run.run_grid(folder, cells, Listener())
    assert (
        json.loads(folder.document.read_text(encoding="utf-8"))["rows"][0]["tasks"]["sst2"]["score"] == 0.75
    )
    training.calls.clear()
    training.ends.clear()

    grid_run.run_grid(folder, cells, Listener())

    assert training.calls == [("sst2-lora-minilm-seed0", True), ("sst2-adp-minilm-seed0", False)]


def test_a_run_with_other_settings_is_trained_anew(tmp_path: Path, training: Training) -> None:
    folder = GridFolder(tmp_path)
    for cell in cells_of(GRID):
        finish(folder, cell, 0.9)
    others = cells_of(GRID, "training.epochs=4")

    comparison = grid_run.run_grid(folder, others, Listener())

    assert [resume for _, resume in training.calls] == [False] * 3
    assert {config.training.epochs for config in training.configs} == {4}
    assert [row.tasks["sst2"].mean for row in comparison.rows] == [0.75] * 3


def test_a_damaged_finished_run_is_trained_anew_when_failures_are_tried_again(
    training: Training, tmp_path: Path
) -> None:
    folder, cells = GridFolder(tmp_path), cells_of(GRID)
    grid_run.run_grid(folder, cells, Listener())
    damaged = folder.run(cells[1])
    damaged.report_file.write_text("no JSON", encoding="utf-8")
    training.calls.clear()

    (failed,) = grid_run.run_grid(folder, cells, Listener()).failed
    assert failed.cell == cells[1]
    assert training.calls == []

    comparison = grid_run.run_grid(folder, cells, Listener(), retry_failed=True)
    assert training.calls == [(cells[1].name, False)]
    assert len(comparison.finished) == len(cells)


def test_cells_that_cannot_run_have_failed_before_the_first_is_trained_and_are_told_once(
    training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cells, listener = GridFolder(tmp_path), cells_of(GRID), Listener()
    fault = DataError("There are no rows.", hint="Add some.")
    trained_by_then: list[int] = []

    def check(asked: Sequence[Cell]) -> dict[str, Check]:
        trained_by_then.append(len(training.calls))
        return {cell.name: Check(None, fault) if cell.method != "lora" else Check(1000) for cell in asked}

    monkeypatch.setattr(grid_run, "check_cells", check)

    comparison = grid_run.run_grid(folder, cells, listener)

    assert trained_by_then == [0]
    assert names(training) == ["lora"]
    assert [cell.state for cell in comparison.cells] == ["failed", "finished", "failed"]
    assert {cell.reason for cell in comparison.failed} == {"There are no rows."}
    assert listener.warnings[0] == (
        "sst2-rep-minilm-seed0, sst2-adp-minilm-seed0 cannot run: There are no rows. Add some."
    )
    assert sum("no rows" in warning for warning in listener.warnings) == 1
    assert "There are no rows." in folder.table.read_text(encoding="utf-8")


def test_why_cells_failed_before_is_told_once(training: Training, tmp_path: Path) -> None:
    folder, cells, listener = GridFolder(tmp_path), cells_of(GRID), Listener()
    training.ends.update(rep=TrainingError("The disk is full."), adp=TrainingError("The disk is full."))
    grid_run.run_grid(folder, cells, Listener())

    grid_run.run_grid(folder, cells, listener)

    assert listener.warnings == [
        "sst2-rep-minilm-seed0, sst2-adp-minilm-seed0 failed before: The disk is full."
    ]


def test_a_run_that_has_begun_is_gone_on_with_unchecked(
    training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cells = GridFolder(tmp_path), cells_of(GRID)
    training.ends["lora"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        grid_run.run_grid(folder, cells, Listener())
    training.ends.clear()
    checked: list[str] = []

    def check(asked: Sequence[Cell]) -> dict[str, Check]:
        checked.extend(cell.method for cell in asked)
        return {cell.name: Check(1000) for cell in asked}

    monkeypatch.setattr(grid_run, "check_cells", check)
    grid_run.run_grid(folder, cells, Listener())

    assert checked == ["adp"]
