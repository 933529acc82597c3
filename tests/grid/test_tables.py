"""The tables and pictures of a comparison."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from loretta_cli.grid.axes import Axes
from loretta_cli.grid.cells import Cell
from loretta_cli.grid.folder import GridFolder
from loretta_cli.grid.scores import Comparison, compare
from loretta_cli.grid.tables import loss_table, markdown, notes, score_table, write_comparison
from tests.grid.fake_runs import cells_of, finish

GRID = Axes(methods=("rep", "lora"), tasks=("sst2", "trec"), seeds=(0, 1))


def score_of(cell: Cell) -> float:
    """A score of its own for each cell."""
    return {"rep": 0.8, "lora": 0.7}[cell.method] - (0.1 if cell.task == "trec" else 0) + 0.02 * cell.seed


@pytest.fixture
def folder(tmp_path: Path) -> GridFolder:
    """A comparison of two methods, two tasks and two seeds, written."""
    folder, cells = GridFolder(tmp_path / "comparison"), cells_of(GRID)
    for cell in cells:
        finish(folder, cell, score_of(cell), trainable=1000 if cell.method == "rep" else 9000)
    write_comparison(folder, compare(folder, cells))
    return folder


def comparison_of(folder: GridFolder) -> Comparison:
    """As it is written there."""
    return compare(folder, cells_of(GRID))


def test_the_table_has_means_deviations_and_numbers_of_seeds(folder: GridFolder) -> None:
    columns, rows = score_table(comparison_of(folder))

    assert columns == (
        *("method", "sst2 (accuracy)", "trec (accuracy)", "mean", "trainable", "storage", "seconds"),
    )
    assert rows[0] == ("rep", "81.00 ± 1.41 (2)", "71.00 ± 1.41 (2)", "76.00", "1,000", "4.1 kB", "4")
    assert rows[1][:2] == ("lora", "71.00 ± 1.41 (2)")


def test_markdown_csv_and_json_say_the_same(folder: GridFolder) -> None:
    document: dict[str, Any] = json.loads(folder.document.read_text(encoding="utf-8"))
    with folder.csv.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    text = folder.table.read_text(encoding="utf-8")

    assert document["schema_version"] == 1
    assert [(line["row"], line["task"]) for line in lines] == [
        *(("rep", "sst2"), ("rep", "trec"), ("lora", "sst2"), ("lora", "trec")),
    ]
    for line in lines:
        (row,) = [row for row in document["rows"] if row["row"] == line["row"]]
        score = row["tasks"][line["task"]]
        assert float(line["score"]) == score["score"]
        assert int(line["seeds"]) == len(score["scores"]) == 2
        assert line["trainable_parameters"] == str(score["trainable_parameters"])
        for name in ("deviation", "train_loss", "last_loss", "loss_gap", "loss_variance"):
            assert float(line[name]) == score[name]
        assert f"{100 * score['score']:.2f} ± {100 * score['deviation']:.2f} (2)" in text
    assert {cell["state"] for cell in document["cells"]} == {"finished"}


def test_the_loss_table_has_a_line_for_each_row_and_task(folder: GridFolder) -> None:
    columns, rows = loss_table(comparison_of(folder))

    assert columns[2:] == ("best step", "train loss", "loss at best", "loss at end", "gap", "variance")
    assert len(rows) == 4
    assert rows[0] == ("rep", "sst2", "2", "0.4", "0.5", "0.9", "0.5", "0.04333")


def test_the_pictures_are_there_and_not_blank(folder: GridFolder) -> None:
    for picture in (folder.scores_picture, folder.losses_picture):
        pixels = np.asarray(imread(picture))[:, :, :3]
        assert pixels.shape[1] > 900
        # Colours, not axes alone.
        assert (pixels.max(axis=2) - pixels.min(axis=2) > 0.3).sum() > 200


def test_an_unfinished_comparison_says_what_is_missing_and_what_failed(tmp_path: Path) -> None:
    folder, cells = GridFolder(tmp_path / "comparison"), cells_of(GRID)
    finish(folder, cells[0], 0.8)
    folder.start(cells[1])
    folder.fail(cells[1], ValueError("no | room"))

    comparison = compare(folder, cells)
    write_comparison(folder, comparison)

    text = markdown(comparison)
    assert "1 of 8 runs are finished, 1 failed, 6 are still to be done." in text
    assert "- sst2-lora-minilm-seed0: ValueError: no | room" in text
    assert "| rep | 80.00 (1) | - | - |" in text
    assert folder.losses_picture.is_file()


def test_before_the_first_run_is_finished_there_is_a_table_and_no_picture(tmp_path: Path) -> None:
    folder, cells = GridFolder(tmp_path / "comparison"), cells_of(GRID)

    write_comparison(folder, compare(folder, cells))

    assert "0 of 8 runs are finished" in folder.table.read_text(encoding="utf-8")
    assert not folder.scores_picture.exists()


def test_the_papers_number_stands_beside_ours_with_its_caveat(tmp_path: Path) -> None:
    folder = GridFolder(tmp_path)
    cells = cells_of(Axes(recipes=("paper/table1-deberta-mrpc-adp", "paper/table1-deberta-sst2-adp")))
    finish(folder, cells[0], 0.9, metric="f1")
    finish(folder, cells[1], 0.91, metric="f1")
    comparison = compare(folder, cells)

    columns, (row,) = score_table(comparison)

    assert columns[1:5] == ("mrpc (f1)", "paper", "sst2 (f1)", "paper")
    # The second is printed as an accuracy, which an F1 is not to be taken for.
    assert row[1:5] == ("90.00", "93.53", "91.00", "95.30 accuracy")
    assert any("Table 11 prints 92.53" in note for note in notes(comparison))
    document = json.loads(
        (write_comparison(folder, comparison), folder.document.read_text(encoding="utf-8"))[1]
    )
    assert document["rows"][0]["tasks"]["mrpc"]["published"]["score"] == 0.9353


def test_a_perplexity_is_no_percentage(tmp_path: Path) -> None:
    folder, cells = GridFolder(tmp_path), cells_of(Axes(methods=("rep",), tasks=("sst2",)))
    finish(folder, cells[0], 12.5, metric="perplexity")

    _, (row,) = score_table(compare(folder, cells))

    assert row[1] == "12.5000"
