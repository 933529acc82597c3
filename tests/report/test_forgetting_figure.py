"""The picture of several tasks learned one after the other."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from loretta_cli.report.forgetting_figure import TaskLine, draw_forgetting
from loretta_cli.report.table_files import csv_table, markdown_table


def _colours(picture: Path) -> set[tuple[int, ...]]:
    from matplotlib.image import imread

    pixels = (imread(picture)[..., :3] * 255).round().astype(int).reshape(-1, 3)
    return {tuple(pixel) for pixel in pixels.tolist()}


def test_each_task_has_a_line_of_its_own_colour(tmp_path: Path) -> None:
    first = TaskLine("sst2", "accuracy, %", 0, (90, 70), 50)
    second = TaskLine("mrpc", "f1, %", 1, (None, 80), None)
    blue, orange = (0x4C, 0x72, 0xB0), (0xDD, 0x84, 0x52)

    draw_forgetting([first, second], ("1-sst2", "2-mrpc"), tmp_path / "both.png")
    draw_forgetting([first], ("1-sst2", "2-mrpc"), tmp_path / "one.png")

    assert {blue, orange} <= _colours(tmp_path / "both.png")
    assert orange not in _colours(tmp_path / "one.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["both.png", "one.png"]


def test_a_task_without_any_score_is_no_fault(tmp_path: Path) -> None:
    line = TaskLine("stsb", "spearman, %", 0, (None, None), None)

    draw_forgetting([line], ("1-stsb", "2-x"), tmp_path / "none.png")

    assert (tmp_path / "none.png").stat().st_size > 0


def test_tasks_of_one_score_share_a_panel_that_names_it(tmp_path: Path, figures: list[Figure]) -> None:
    lines = [
        TaskLine("sst2", "accuracy, %", 0, (90, 70, 60), None),
        TaskLine("language-modeling", "perplexity", 1, (None, 12, 13), None),
        TaskLine("mr", "accuracy, %", 2, (None, None, 80), None),
    ]

    draw_forgetting(lines, ("1-sst2", "2-language-modeling", "3-mr"), tmp_path / "f.png")

    assert [axes.get_ylabel() for axes in figures[0].axes] == ["accuracy, %", "perplexity"]
    legends = [axes.get_legend() for axes in figures[0].axes]
    named = [[text.get_text() for text in legend.get_texts()] for legend in legends if legend is not None]
    assert named == [["sst2", "mr", "trained here"], ["language-modeling", "trained here"]]


def test_a_bar_in_a_markdown_cell_ends_no_column() -> None:
    assert markdown_table(("a", "b"), [("x|y", "1")]) == "| a | b |\n| --- | --- |\n| x\\|y | 1 |\n"


def test_no_value_is_an_empty_csv_cell() -> None:
    assert csv_table(("a", "b"), [("x,y", None), ("z", 0.1)]) == 'a,b\n"x,y",\nz,0.1\n'
