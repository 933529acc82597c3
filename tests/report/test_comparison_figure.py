"""The pictures of a comparison."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from loretta_cli.report.comparison_figure import Dot, LossLines, draw_losses, draw_scores
from loretta_cli.report.figure_parts import Series


def colours(figure: Figure) -> dict[str, str]:
    """What the legend says: row to colour."""
    (legend,) = figure.legends
    handles = [getattr(handle, "lines", [handle])[0] for handle in legend.legend_handles]
    return {
        text.get_text(): handle.get_color() for text, handle in zip(legend.get_texts(), handles, strict=True)
    }


def test_scores_have_a_panel_a_task_and_a_logarithmic_axis_of_parameters(
    tmp_path: Path, figures: list[Figure]
) -> None:
    dots = [Dot("rep", 1e4, 80.0, 1.5), Dot("full", 2e7, 90.0, None)]

    draw_scores({"sst2": dots, "trec": dots[:1]}, tmp_path / "scores.png", rows=["rep", "full"])

    first, second = figures[0].axes
    assert [axes.get_title(loc="left") for axes in (first, second)] == ["sst2", "trec"]
    assert first.get_xscale() == "log"
    low, high = first.get_xlim()
    assert low < 1e4 < 2e7 < high
    # A single point has room on both sides.
    assert second.get_xlim()[1] / second.get_xlim()[0] == pytest.approx(10)
    assert len(colours(figures[0])) == 2
    assert (tmp_path / "scores.png").read_bytes().startswith(b"\x89PNG")


def test_a_row_keeps_its_colour_in_both_pictures_even_where_others_are_missing(
    tmp_path: Path, figures: list[Figure]
) -> None:
    rows = ["adp", "rep"]
    line = LossLines("rep", Series([1, 2], [0.7, 0.5]), Series([2], [0.6]))

    draw_scores({"sst2": [Dot("adp", 1, 1, None), Dot("rep", 2, 2, None)]}, tmp_path / "a.png", rows=rows)
    draw_losses({"sst2": [line]}, tmp_path / "b.png", rows=rows)

    scores, losses = map(colours, figures)
    assert scores["rep"] == losses["rep"] != scores["adp"]
    assert {"train", "evaluation"} < set(losses)


def test_losses_have_a_dashed_line_for_training_and_a_solid_one_for_evaluation(
    tmp_path: Path, figures: list[Figure]
) -> None:
    line = LossLines("rep", Series([1, 2, 3], [0.7, 0.5, 0.3]), Series([2, 3], [0.6, 0.65]))

    draw_losses({"sst2": [line]}, tmp_path / "losses.png", rows=["rep"])

    train, evaluated = figures[0].axes[0].get_lines()
    assert (list(train.get_ydata()), train.get_linestyle()) == ([0.7, 0.5, 0.3], "--")
    assert (list(evaluated.get_ydata()), evaluated.get_linestyle()) == ([0.6, 0.65], "-")


@pytest.mark.parametrize(("panels", "grid"), [(1, (1, 1)), (4, (1, 4)), (5, (2, 3)), (9, (3, 3))])
def test_many_panels_stand_in_several_lines(
    tmp_path: Path, figures: list[Figure], panels: int, grid: tuple[int, int]
) -> None:
    dots = {f"task{number}": [Dot("rep", 10, 1, None)] for number in range(panels)}

    draw_scores(dots, tmp_path / "scores.png", rows=["rep"])

    assert len(figures[0].axes) == panels
    specification = figures[0].axes[0].get_subplotspec()
    assert specification is not None
    assert specification.get_gridspec().get_geometry() == grid


def test_more_rows_than_colours_all_look_different(tmp_path: Path, figures: list[Figure]) -> None:
    rows = [f"row{number}" for number in range(30)]
    dots = [Dot(row, 10, 1, None) for row in rows]

    draw_scores({"sst2": dots}, tmp_path / "scores.png", rows=rows)

    looks = {
        (line.get_color(), line.get_marker()) for line in figures[0].axes[0].get_lines() if line.get_marker()
    }
    assert len(looks) == 30
