"""The pictures of a comparison."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from loretta_cli.report.comparison_figure import Dot, LossLines, ScorePanel, draw_losses, draw_scores
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

    panels = [ScorePanel("sst2", "accuracy, %", dots), ScorePanel("trec", "f1, %", dots[:1])]
    draw_scores(panels, tmp_path / "scores.png", rows=["rep", "full"])

    first, second = figures[0].axes
    assert [axes.get_ylabel() for axes in (first, second)] == ["accuracy, %", "f1, %"]
    assert first.get_xlabel() == "trainable parameters (log scale)"
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

    dots = [Dot("adp", 1, 1, None), Dot("rep", 2, 2, None)]
    draw_scores([ScorePanel("sst2", "accuracy, %", dots)], tmp_path / "a.png", rows=rows)
    draw_losses({"sst2": [line]}, tmp_path / "b.png", rows=rows)

    scores, losses = map(colours, figures)
    assert scores["rep"] == losses["rep"] != scores["adp"]
    assert {"train", "evaluation"} < set(losses)


def test_losses_have_a_dashed_line_for_training_and_a_solid_one_for_evaluation(
    tmp_path: Path, figures: list[Figure]
) -> None:
    line = LossLines("rep", Series([1, 2, 3], [0.7, 0.5, 0.3]), Series([2, 3], [0.6, 0.65]))

    draw_losses({"sst2": [line]}, tmp_path / "losses.png", rows=["rep"])

    assert figures[0].axes[0].get_ylabel() == "loss"
    train, evaluated = figures[0].axes[0].get_lines()
    assert (list(train.get_ydata()), train.get_linestyle()) == ([0.7, 0.5, 0.3], "--")
    assert (list(evaluated.get_ydata()), evaluated.get_linestyle()) == ([0.6, 0.65], "-")


@pytest.mark.parametrize(("panels", "grid"), [(1, (1, 1)), (4, (1, 4)), (5, (2, 3)), (9, (3, 3))])
def test_many_panels_stand_in_several_lines(
    tmp_path: Path, figures: list[Figure], panels: int, grid: tuple[int, int]
) -> None:
    drawn = [ScorePanel(f"task{number}", "%", [Dot("rep", 10, 1, None)]) for number in range(panels)]

    draw_scores(drawn, tmp_path / "scores.png", rows=["rep"])

    assert len(figures[0].axes) == panels
    specification = figures[0].axes[0].get_subplotspec()
    assert specification is not None
    assert specification.get_gridspec().get_geometry() == grid


def test_more_rows_than_colours_all_look_different(tmp_path: Path, figures: list[Figure]) -> None:
    rows = [f"row{number}" for number in range(30)]
    dots = [Dot(row, 10, 1, None) for row in rows]

    draw_scores([ScorePanel("sst2", "accuracy, %", dots)], tmp_path / "scores.png", rows=rows)

    looks = {
        (line.get_color(), line.get_marker()) for line in figures[0].axes[0].get_lines() if line.get_marker()
    }
    assert len(looks) == 30


def test_nothing_overlaps_and_nothing_is_cut_off_for_seven_rows_and_five_tasks(
    tmp_path: Path, figures: list[Figure]
) -> None:
    rows = [f"rep on a model, tt_rank=5, train_norms=false, {number}" for number in range(7)]
    dots = [Dot(row, 10.0**number, 50 + 5 * number, 1.0) for number, row in enumerate(rows, 1)]
    panels = [ScorePanel(f"task{number}", "matthews correlation, %", dots) for number in range(6)]

    draw_scores(panels, tmp_path / "scores.png", rows=rows)

    (figure,) = figures
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    boxes.append(figure.legends[0].get_window_extent())
    whole = figure.bbox
    for number, box in enumerate(boxes):
        assert box is not None
        assert whole.x0 <= box.x0 < box.x1 <= whole.x1
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])
