"""The picture of a run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from loretta_cli.report.curves import draw_curves

if TYPE_CHECKING:
    from pathlib import Path


def a_run(steps: int, *, every: int = 10) -> list[dict[str, object]]:
    """Records of a run that gets better, with an evaluation at every fifth log line."""
    records: list[dict[str, object]] = []
    for index, step in enumerate(range(every, steps + 1, every), start=1):
        records.append({"step": step, "split": "train", "loss": 1 / index, "learning_rate": 1e-3})
        if index % 5 == 0:
            score = 1 - abs(step - 100) / 1000
            records.append({"step": step, "split": "validation", "accuracy": score, "loss": 1.1 / index})
    return records


def titles(figure: Figure) -> list[str]:
    """The titles of the panels, from left to right."""
    return [axes.get_title(loc="left") for axes in figure.axes]


def test_a_run_becomes_a_png_with_something_on_it(tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    draw_curves(a_run(600), path, main_metric="accuracy")
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    pixels = np.asarray(imread(path))
    height, width = pixels.shape[:2]
    assert width > 1500
    assert height > 400
    third = width // 3
    for panel in range(3):
        assert pixels[:, panel * third : (panel + 1) * third, :3].std() > 0.02


def test_the_three_panels_share_one_step_axis_and_the_best_is_marked(
    tmp_path: Path, figures: list[Figure]
) -> None:
    draw_curves(a_run(200), tmp_path / "curves.png", main_metric="accuracy", best_step=100)
    loss, accuracy, rate = figures[0].axes
    assert titles(figures[0]) == ["loss", "accuracy", "learning rate"]
    assert loss.get_xlim() == accuracy.get_xlim() == rate.get_xlim()
    assert accuracy.get_legend_handles_labels()[1] == ["validation", "best: 1 at step 100"]


def test_of_a_loss_that_chooses_the_best_is_marked(tmp_path: Path, figures: list[Figure]) -> None:
    draw_curves(a_run(200), tmp_path / "curves.png", main_metric="loss", best_step=200)
    assert titles(figures[0]) == ["loss", "learning rate"]
    assert figures[0].axes[0].get_legend_handles_labels()[1][-1] == "best: 0.055 at step 200"


def test_before_there_is_a_best_none_is_marked(tmp_path: Path, figures: list[Figure]) -> None:
    draw_curves(a_run(200), tmp_path / "curves.png", main_metric="accuracy")
    assert figures[0].axes[1].get_legend_handles_labels()[1] == ["validation"]


def test_many_points_get_a_running_mean_over_the_raw_line(tmp_path: Path, figures: list[Figure]) -> None:
    records = [
        {"step": step, "split": "train", "loss": 1.0 + (0.5 if step % 2 else -0.5)} for step in range(400)
    ]
    draw_curves(records, tmp_path / "curves.png", main_metric="accuracy")
    raw, mean = figures[0].axes[0].get_lines()
    assert np.ptp(raw.get_ydata()) == 1.0
    assert np.ptp(np.asarray(mean.get_ydata())[100:]) < 0.1
    assert np.asarray(mean.get_ydata())[-1] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("records", "panels"),
    [
        ([], []),
        ([{"step": 1, "split": "train", "loss": 0.5}], ["loss"]),
        ([{"step": 1, "split": "validation", "loss": 0.5}], ["loss"]),
        ([{"step": 1, "split": "validation", "accuracy": 0.5}], ["accuracy"]),
        ([{"step": 1, "split": "train", "learning_rate": 0.0}], ["learning rate"]),
        ([{"step": 1, "split": "train", "loss": None, "learning_rate": 1e-3}], ["learning rate"]),
        ([{"step": 1, "split": "train", "loss": math.nan}], []),
        ([{"step": 1, "split": "test", "loss": 1.0}], []),
    ],
)
def test_a_panel_without_data_is_left_out(
    tmp_path: Path, figures: list[Figure], records: list[dict[str, object]], panels: list[str]
) -> None:
    draw_curves(records, tmp_path / "curves.png", main_metric="accuracy")
    assert titles(figures[0]) == panels
    assert np.asarray(imread(tmp_path / "curves.png")).std() > 0


def test_a_metric_name_with_dollar_signs_is_drawn_as_it_is(tmp_path: Path, figures: list[Figure]) -> None:
    draw_curves(
        [{"step": 1, "split": "validation", "a$_$b": 1.0}], tmp_path / "curves.png", main_metric="a$_$b"
    )
    assert titles(figures[0]) == ["a$ $b"]


def test_the_old_picture_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    path.write_bytes(b"old")
    draw_curves(a_run(50), path, main_metric="accuracy")
    assert path.read_bytes() != b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_drawing_that_fails_leaves_the_old_picture_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError("disk full")

    path = tmp_path / "curves.png"
    path.write_bytes(b"old")
    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        draw_curves(a_run(50), path, main_metric="accuracy")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
