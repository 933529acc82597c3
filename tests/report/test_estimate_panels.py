"""The panels of a zeroth-order training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from loretta_cli.report.curves import draw_curves
from loretta_cli.report.estimate_panels import MOST_POINTS
from loretta_cli.report.estimates import Estimates


def estimates(steps: int, events: list[tuple[int, str]] | None = None) -> Estimates:
    """Queries that grow, slopes that change."""
    numbers = range(1, steps + 1)
    return Estimates(
        list(numbers), [1 + step // 50 for step in numbers], [1 + step % 7 for step in numbers], events or []
    )


RECORDS: list[dict[str, object]] = [
    {"step": step, "split": split, "loss": 1 / step, "learning_rate": 0.1, "accuracy": 0.5}
    for step in (10, 100)
    for split in ("train", "selection")
]


def draw(path: Path, found: Estimates) -> None:
    """Draw a run with these estimates."""
    draw_curves(RECORDS, path, main_metric="accuracy", split="selection", estimates=found)


def test_queries_and_slopes_stand_below_the_other_panels(tmp_path: Path, figures: list[Figure]) -> None:
    draw(tmp_path / "curves.png", estimates(100))

    titles = [axes.get_title(loc="left") for axes in figures[0].axes]
    assert titles[3:] == ["queries a step", "size of the projected gradient"]
    assert figures[0].axes[4].get_yscale() == "log"
    pixels = np.asarray(imread(tmp_path / "curves.png"))
    assert pixels.shape[0] > 900
    assert pixels[500:, : pixels.shape[1] * 2 // 3, :3].std() > 0.02


def test_events_are_marked_and_counted_and_a_rollback_goes_through_every_panel(
    tmp_path: Path, figures: list[Figure]
) -> None:
    draw(tmp_path / "curves.png", estimates(100, [(5, "clip"), (9, "clip"), (20, "skip"), (60, "rollback")]))

    labels = figures[0].axes[4].get_legend_handles_labels()[1]
    assert labels == ["running mean", "skip: 1", "clip: 2", "rollback: 1"]
    for axes in figures[0].axes:
        assert any(list(line.get_xdata()) == [60, 60] for line in axes.get_lines())


def test_a_step_that_went_back_draws_no_fall_of_the_queries(tmp_path: Path, figures: list[Figure]) -> None:
    draw(tmp_path / "curves.png", Estimates([1, 2, 3], [2, 0, 2], [1.0, None, 1.0], [(2, "rollback")]))

    assert list(figures[0].axes[3].get_lines()[0].get_ydata()) == [2, 2]


def test_a_long_training_is_drawn_with_no_more_points_than_can_be_seen(
    tmp_path: Path, figures: list[Figure]
) -> None:
    draw(tmp_path / "curves.png", estimates(3 * MOST_POINTS))

    for line in figures[0].axes[4].get_lines():
        assert len(line.get_xdata()) <= MOST_POINTS
        assert list(line.get_xdata())[-1] == 3 * MOST_POINTS


@pytest.mark.parametrize("sizes", [[None, None], [0.0, 0.0]])
def test_without_a_slope_there_is_no_such_panel(
    tmp_path: Path, figures: list[Figure], sizes: list[float | None]
) -> None:
    draw(tmp_path / "curves.png", Estimates([1, 2], [1, 1], sizes, [(1, "skip")]))

    assert len(figures[0].axes) == 4
