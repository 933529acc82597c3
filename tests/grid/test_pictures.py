"""What the pictures are drawn from, against numbers by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loretta_cli.grid import pictures
from loretta_cli.grid.axes import Axes
from loretta_cli.grid.folder import GridFolder
from loretta_cli.grid.pictures import draw_comparison
from loretta_cli.grid.scores import Comparison, compare
from loretta_cli.report.passes_figure import TaskCourses
from tests.grid.fake_runs import cells_of, finish, finish_both_gradients


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What each picture was asked to draw, by its name; none is drawn."""
    asked: dict[str, Any] = {}
    for name in ("draw_scores", "draw_losses", "draw_passes"):

        def remember(panels: Any, path: Path, *, rows: Any) -> None:
            asked[path.name] = panels

        monkeypatch.setattr(pictures, name, remember)
    return asked


def courses(folder: GridFolder, comparison: Comparison, drawn: dict[str, Any]) -> list[TaskCourses]:
    draw_comparison(folder, comparison)
    found: list[TaskCourses] = drawn["passes.png"]
    return found


def test_courses_are_means_of_the_seeds_at_equal_steps_over_their_mean_passes(
    tmp_path: Path, drawn: dict[str, Any]
) -> None:
    folder = GridFolder(tmp_path)
    comparison = compare(folder, finish_both_gradients(folder))

    (task,) = courses(folder, comparison, drawn)

    assert (task.title, task.score) == ("sst2", "accuracy, %")
    backprop, zo = task.rows
    assert (backprop.label, zo.label) == ("adp, gradient=backprop", "adp, gradient=zo")
    assert (backprop.train.passes, backprop.train.means) == ([2, 4], [0.7, 0.4])
    assert (backprop.loss.passes, backprop.loss.means) == ([2, 4, 6], [0.6, 0.5, 0.9])
    assert not backprop.score.is_spread
    assert (zo.train.passes, zo.loss.passes, zo.score.passes) == ([15, 25], [15, 25, 35], [15, 25, 35])
    # Of 0.8 and 0.6, less a tenth a step; percent.
    assert zo.score.means == pytest.approx([60, 50, 40])
    assert zo.score.lowest == pytest.approx([50, 40, 30])
    assert zo.score.highest == pytest.approx([70, 60, 50])


def test_steps_that_not_all_seeds_have_are_left_out(tmp_path: Path, drawn: dict[str, Any]) -> None:
    folder = GridFolder(tmp_path)
    axes = Axes(methods=("adp",), tasks=("sst2",), seeds=(0, 1))
    first, second = cells = cells_of(axes, "training.gradient=zo")
    passes = {1: 4, 2: 8, 3: 12}
    finish(folder, first, 0.8, passes=passes)
    finish(folder, second, 0.8, passes=passes, evaluated=((2, 0.5),))

    (task,) = courses(folder, compare(folder, cells), drawn)

    (row,) = task.rows
    assert (row.loss.passes, row.loss.means) == ([8], [0.5])


def test_a_perplexity_is_drawn_as_it_is(tmp_path: Path, drawn: dict[str, Any]) -> None:
    folder = GridFolder(tmp_path)
    cells = cells_of(Axes(methods=("adp",), tasks=("sst2",)), "training.gradient=zo")
    finish(folder, cells[0], 12.5, metric="perplexity", passes={1: 4, 2: 8, 3: 12})

    (task,) = courses(folder, compare(folder, cells), drawn)

    assert task.score == "perplexity"
    assert task.rows[0].score.means == pytest.approx([12.4, 12.3, 12.2])


def test_without_a_row_by_forward_passes_there_is_no_such_picture(
    tmp_path: Path, comparison: Comparison, drawn: dict[str, Any]
) -> None:
    draw_comparison(GridFolder(tmp_path), comparison)

    assert set(drawn) == {"comparison.png", "losses.png"}
