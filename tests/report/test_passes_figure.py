"""The picture of a comparison over forward passes."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from loretta_cli.report.comparison_figure import LossLines, draw_losses
from loretta_cli.report.figure_parts import Series
from loretta_cli.report.passes_figure import Course, RowCourse, TaskCourses, draw_passes

NOTHING = Course([], [], [], [])


def flat(passes: list[int], value: float, *, spread: float = 0.0) -> Course:
    """The same value all along, the seeds so far around it."""
    count = len(passes)
    return Course(passes, [value] * count, [value - spread] * count, [value + spread] * count)


def row(label: str, passes: list[int], *, spread: float = 0.0, score: Course | None = None) -> RowCourse:
    """A row with a loss around 0.6 and a score of 80."""
    evaluated = passes[1::2]
    return RowCourse(
        label,
        flat(passes, 0.5),
        flat(evaluated, 0.6, spread=spread),
        flat(evaluated, 80.0) if score is None else score,
    )


def draw(path: Path, rows: list[RowCourse], *, tasks: int = 1) -> None:
    """One picture of so many tasks."""
    panels = [TaskCourses(f"task{number}", "accuracy, %", rows) for number in range(tasks)]
    draw_passes(panels, path / "passes.png", rows=[one.label for one in rows])


def test_the_loss_stands_above_the_score_over_the_same_passes(tmp_path: Path, figures: list[Figure]) -> None:
    draw(tmp_path, [row("adp", [10, 20, 30, 40])], tasks=2)

    loss, score, *_ = figures[0].axes
    assert (loss.get_title(loc="left"), loss.get_ylabel(), score.get_ylabel()) == (
        *("task0", "loss", "accuracy, %"),
    )
    train, evaluated = loss.get_lines()
    assert (list(train.get_xdata()), train.get_linestyle()) == ([10, 20, 30, 40], "--")
    assert (list(evaluated.get_xdata()), evaluated.get_linestyle()) == ([20, 40], "-")
    (scored,) = score.get_lines()
    assert (list(scored.get_xdata()), list(scored.get_ydata())) == ([20, 40], [80, 80])
    assert loss.get_xlim() == score.get_xlim()
    assert loss.get_position().y0 > score.get_position().y1
    assert (tmp_path / "passes.png").read_bytes().startswith(b"\x89PNG")


def test_passes_begin_at_zero_and_the_axis_says_what_is_counted(
    tmp_path: Path, figures: list[Figure]
) -> None:
    draw(tmp_path, [row("adp", [100, 200]), row("rep", [400, 700])])

    loss, score = figures[0].axes
    assert score.get_xlabel() == "forward passes (a backward pass counts as one)"
    assert not loss.get_xlabel()
    assert score.get_xscale() == "linear"
    assert score.get_xlim()[0] == 0


def test_rows_of_very_different_lengths_stand_on_a_logarithmic_axis_that_says_so(
    tmp_path: Path, figures: list[Figure]
) -> None:
    draw(tmp_path, [row("adp", [1, 2, 20, 40]), row("rep", [1000, 4000])])

    _, score = figures[0].axes
    assert score.get_xscale() == "log"
    assert score.get_xlabel() == "forward passes, log scale\n(a backward pass counts as one)"


def test_seeds_that_differ_have_a_band_and_the_legend_says_so(tmp_path: Path, figures: list[Figure]) -> None:
    draw(tmp_path, [row("adp", [10, 20, 30, 40], spread=0.1)])
    draw(tmp_path, [row("adp", [10, 20, 30, 40])])

    with_band, without = figures
    (band,) = [one for one in with_band.axes[0].collections if isinstance(one, PolyCollection)]
    corners = band.get_paths()[0].vertices
    assert (corners[:, 1].min(), corners[:, 1].max()) == (pytest.approx(0.5), pytest.approx(0.7))
    texts = [[text.get_text() for text in figure.legends[0].get_texts()] for figure in figures]
    assert texts == [["adp", "train", "evaluation", "range over the seeds"], ["adp", "train", "evaluation"]]
    assert not without.axes[0].collections


def test_without_scores_the_losses_stand_alone_with_the_axis_below(
    tmp_path: Path, figures: list[Figure]
) -> None:
    draw(tmp_path, [row("adp", [10, 20], score=NOTHING)])

    (loss,) = figures[0].axes
    assert loss.get_xlabel().startswith("forward passes")


def test_a_row_looks_as_in_the_picture_of_losses(tmp_path: Path, figures: list[Figure]) -> None:
    rows = ["adp", "rep"]
    line = LossLines("rep", Series([1], [0.7]), Series([2], [0.6]))

    draw_losses({"sst2": [line]}, tmp_path / "losses.png", rows=rows)
    panels = [TaskCourses("sst2", "accuracy, %", [row("rep", [10, 20])])]
    draw_passes(panels, tmp_path / "passes.png", rows=rows)

    looks = [
        {
            (one.get_color(), one.get_marker())
            for one in figure.axes[0].get_lines()
            if one.get_label() == "rep"
        }
        for figure in figures
    ]
    assert looks[0] == looks[1]
    assert len(looks[0]) == 1


@pytest.mark.parametrize("longest", [8000, 80])
def test_nothing_overlaps_and_nothing_is_cut_off(tmp_path: Path, figures: list[Figure], longest: int) -> None:
    names = ["adp, gradient=backprop", *(f"adp, gradient=zo, schedule=adazeta, {n}" for n in range(5))]
    rows = [row(name, [5, 20], spread=0.05) for name in names[:-1]]
    rows.append(row(names[-1], [20, longest], spread=0.05))

    draw(tmp_path, rows, tasks=5)

    (figure,) = figures
    assert len(figure.axes) == 10
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    boxes.append(figure.legends[0].get_window_extent())
    whole = figure.bbox
    for number, box in enumerate(boxes):
        assert box is not None
        assert whole.x0 <= box.x0 < box.x1 <= whole.x1
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])
