"""The tables of a comparison for people."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from loretta_cli.grid.axes import Axes
from loretta_cli.grid.documents import as_json
from loretta_cli.grid.folder import GridFolder
from loretta_cli.grid.notes import notes
from loretta_cli.grid.scores import Comparison, compare
from loretta_cli.grid.tables import loss_table, markdown, score_table, short_loss_table
from loretta_cli.report.screen_tables import tables_for_screen
from tests.grid.fake_runs import (
    TWO_BY_TWO,
    cells_of,
    finish,
    finish_both_gradients,
    finish_two_data_sets,
)


def test_the_table_has_means_deviations_and_numbers_of_seeds(comparison: Comparison) -> None:
    columns, rows = score_table(comparison)

    assert columns == (
        *("method", "sst2 (accuracy)", "trec (accuracy)", "mean", "trainable", "storage", "seconds"),
    )
    assert rows[0] == ("rep", "81.00 ± 1.41 (2)", "71.00 ± 1.41 (2)", "76.00", "1,000", "4.1 kB", "4")
    assert rows[1][:2] == ("lora", "71.00 ± 1.41 (2)")


def test_the_loss_table_has_a_line_for_each_row_and_task(comparison: Comparison) -> None:
    columns, rows = loss_table(comparison)

    assert columns[2:] == ("best step", "train loss", "loss at best", "loss at end", "gap", "variance")
    assert len(rows) == 4
    assert rows[0] == ("rep", "sst2", "2", "0.4", "0.5", "0.9", "0.5", "0.04333")


def test_an_unfinished_comparison_says_what_is_missing_and_what_failed(tmp_path: Path) -> None:
    folder, cells = GridFolder(tmp_path / "comparison"), cells_of(TWO_BY_TWO)
    finish(folder, cells[0], 0.8)
    folder.start(cells[1])
    folder.fail(cells[1], ValueError("no | room"))

    text = markdown(compare(folder, cells))

    assert "1 of 8 runs finished, 1 failed, 6 still to be done." in text
    assert "- sst2-lora-minilm-seed0: ValueError: no | room" in text
    assert "| rep | 80.00 (1) | - | - |" in text


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
    assert as_json(comparison)["rows"][0]["tasks"]["mrpc"]["published"]["score"] == 0.9353


def test_a_perplexity_is_no_percentage(tmp_path: Path) -> None:
    folder, cells = GridFolder(tmp_path), cells_of(Axes(methods=("rep",), tasks=("sst2",)))
    finish(folder, cells[0], 12.5, metric="perplexity")

    _, (row,) = score_table(compare(folder, cells))

    assert row[1] == "12.5000"


def test_the_losses_for_the_screen_are_one_table_of_sixty_cells_with_one_line_a_row(tmp_path: Path) -> None:
    folder, cells = (
        GridFolder(tmp_path),
        cells_of(Axes(methods=("rep", "adapters"), tasks=("sst2", "ag_news"))),
    )
    for cell in cells:
        finish(folder, cell, 0.8)

    (table,) = tables_for_screen(*short_loss_table(compare(folder, cells)), 60)
    stream = io.StringIO()
    Console(file=stream, width=60).print(table)

    lines = [line.split() for line in stream.getvalue().splitlines()]
    assert lines[0] == ["method", "task", "train", "best", "end", "gap"]
    assert lines[2] == ["rep", "sst2", "0.400", "0.500", "0.900", "0.500"]
    assert len(lines) == 2 + 4


def test_one_run_is_no_runs(tmp_path: Path) -> None:
    cells = cells_of(Axes(methods=("rep",), tasks=("sst2",)))

    assert "0 of 1 run finished, 1 still to be done." in markdown(compare(GridFolder(tmp_path), cells))


def test_a_task_on_two_data_sets_has_two_columns_and_a_mean(tmp_path: Path) -> None:
    folder = GridFolder(tmp_path)
    cells = finish_two_data_sets(folder)

    columns, (row,) = score_table(compare(folder, cells))

    assert columns[1:4] == (
        *("classification on reviews (accuracy)", "classification on tickets (accuracy)", "mean"),
    )
    assert row[:4] == ("rep", "90.00", "70.00", "80.00")


def test_passes_are_a_column_where_forward_passes_alone_trained_a_row(
    tmp_path: Path, comparison: Comparison
) -> None:
    folder = GridFolder(tmp_path / "both")
    cells = finish_both_gradients(folder)

    columns, rows = score_table(compare(folder, cells))

    assert columns[-2:] == ("seconds", "passes")
    # Three batches forward and backward; a mean of 34 and 36.
    assert [row[-1] for row in rows] == ["6", "35"]
    assert "passes" not in score_table(comparison)[0]


def test_the_document_shows_the_picture_of_passes_where_there_is_one(
    tmp_path: Path, comparison: Comparison
) -> None:
    folder = GridFolder(tmp_path / "both")

    assert "(passes.png)" in markdown(compare(folder, finish_both_gradients(folder)))
    assert "(passes.png)" not in markdown(comparison)
