"""What is to be known of the tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from loretta_cli.grid.axes import Axes
from loretta_cli.grid.cells import Cell
from loretta_cli.grid.folder import GridFolder
from loretta_cli.grid.notes import notes
from loretta_cli.grid.scores import compare
from tests.grid.fake_runs import TWO_BY_TWO, cells_of, finish_both_gradients

TRAINING_ROWS = "which rows train and which choose the checkpoint"
REPORTED_ROWS = "which rows of a larger validation split are reported"


def said_of_seeds(folder: Path, axes: Axes, *overrides: str) -> list[str]:
    """The notes on seeds."""
    found = notes(compare(GridFolder(folder), cells_of(axes, *overrides)))
    return [note for note in found if note.startswith("A seed draws")]


@pytest.mark.parametrize(
    ("settings", "drawn"),
    [
        ((), {TRAINING_ROWS}),
        (("data.validation_rows=100",), {TRAINING_ROWS, REPORTED_ROWS}),
        (("data.protocol=low-data",), {TRAINING_ROWS, REPORTED_ROWS}),
        (("data.protocol=paper",), set()),
        (("data.protocol=paper", "data.train_rows=100"), {TRAINING_ROWS}),
        (("data.protocol=low-data", "data.seed=0"), set()),
    ],
)
def test_what_a_seed_draws_is_said_where_it_does(
    tmp_path: Path, settings: tuple[str, ...], drawn: set[str]
) -> None:
    (note,) = said_of_seeds(tmp_path, TWO_BY_TWO, *settings)

    assert {what for what in (TRAINING_ROWS, REPORTED_ROWS) if what in note} == drawn
    assert ("the rows are the same for all seeds" in note) == (not drawn)
    assert ("All methods have the same rows with one seed" in note) == bool(drawn)


def test_the_tasks_are_named_where_only_some_are_drawn(tmp_path: Path) -> None:
    recipes = []
    for task, rows in (("sst2", "null"), ("trec", "50")):
        path = tmp_path / f"{task}.yaml"
        path.write_text(f"task: {{name: {task}}}\ndata: {{validation_rows: {rows}}}\n", encoding="utf-8")
        recipes.append(str(path))
    axes = Axes(recipes=tuple(recipes), models=("bundled:minilm",), methods=("rep",), seeds=(0, 1))

    (note,) = said_of_seeds(tmp_path, axes)

    assert f"{TRAINING_ROWS}, and {REPORTED_ROWS} (on trec)." in note


def test_one_seed_needs_no_note(tmp_path: Path) -> None:
    assert not said_of_seeds(tmp_path, Axes(methods=("rep",), tasks=("sst2",)), "data.protocol=low-data")


def test_what_a_pass_is_is_said_where_forward_passes_alone_trained_a_row(tmp_path: Path) -> None:
    folder = GridFolder(tmp_path)
    backprop, zo = finish_both_gradients(folder, seeds=(0,))

    def told(*cells: Cell) -> bool:
        return any("A backward pass counts as one" in note for note in notes(compare(folder, cells)))

    assert told(backprop, zo)
    assert not told(backprop)
