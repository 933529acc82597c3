"""The picture of several tasks learned one after the other."""

from __future__ import annotations

from pathlib import Path

from loretta_cli.report.forgetting_figure import TaskLine, draw_forgetting
from loretta_cli.report.table_files import csv_table, markdown_table


def _colours(picture: Path) -> set[tuple[int, ...]]:
    from matplotlib.image import imread

    pixels = (imread(picture)[..., :3] * 255).round().astype(int).reshape(-1, 3)
    return {tuple(pixel) for pixel in pixels.tolist()}


def test_each_task_has_a_line_of_its_own_colour(tmp_path: Path) -> None:
    first = TaskLine("sst2 (accuracy)", 0, (0.9, 0.7), 0.5)
    second = TaskLine("mrpc (f1)", 1, (None, 0.8), None)
    blue, orange = (0x4C, 0x72, 0xB0), (0xDD, 0x84, 0x52)

    draw_forgetting([first, second], ("1-sst2", "2-mrpc"), tmp_path / "both.png")
    draw_forgetting([first], ("1-sst2", "2-mrpc"), tmp_path / "one.png")

    assert {blue, orange} <= _colours(tmp_path / "both.png")
    assert orange not in _colours(tmp_path / "one.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["both.png", "one.png"]


def test_a_task_without_any_score_is_no_fault(tmp_path: Path) -> None:
    draw_forgetting([TaskLine("stsb", 0, (None, None), None)], ("1-stsb", "2-x"), tmp_path / "none.png")

    assert (tmp_path / "none.png").stat().st_size > 0


def test_a_bar_in_a_markdown_cell_ends_no_column() -> None:
    assert markdown_table(("a", "b"), [("x|y", "1")]) == "| a | b |\n| --- | --- |\n| x\\|y | 1 |\n"


def test_no_value_is_an_empty_csv_cell() -> None:
    assert csv_table(("a", "b"), [("x,y", None), ("z", 0.1)]) == 'a,b\n"x,y",\nz,0.1\n'
