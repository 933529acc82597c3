"""Tables for a terminal: numbers are never broken, and nothing is lost at any width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from loretta_cli.report.screen_tables import tables_for_screen

COLUMNS = ("method", "trainable", "percent", "storage", "AdamW state", "FLOPs", "in the paper")
ROWS = [
    ("rep", "507,904", "0.0075", "2.0 MB", "4.1 MB", "3.40e+12", "0.51M"),
    ("adapters", "50,731,008", "0.7529", "202.9 MB", "405.8 MB", "3.43e+12", "50.33M"),
    ("full", "6,738,415,616", "100.0000", "27.0 GB", "53.9 GB", "5.10e+12", ""),
]


def drawn(columns: tuple[str, ...], rows: list[tuple[str, ...]], width: int) -> list[list[str]]:
    """The lines of each table, unbreakable spaces as spaces."""
    tables = []
    for table in tables_for_screen(columns, rows, width):
        stream = io.StringIO()
        Console(file=stream, width=width).print(table)
        tables.append(stream.getvalue().replace("\N{NO-BREAK SPACE}", " ").splitlines())
    return tables


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_numbers_and_their_units_stay_whole_at_any_width(width: int) -> None:
    tables = drawn(COLUMNS, ROWS, width)
    lines = [line for table in tables for line in table]

    assert max(map(len, lines)) <= width
    for cell in {cell for row in ROWS for cell in row if cell}:
        assert any(cell in line for line in lines), cell


def test_a_table_that_fits_is_one_table_with_one_line_a_row() -> None:
    (table,) = drawn(COLUMNS, ROWS, 80)

    assert len(table) == 1 + 1 + len(ROWS)


def test_columns_without_room_stand_below_beside_the_first_column_again() -> None:
    first, *others = drawn(COLUMNS, ROWS, 60)

    assert others
    for table in (first, *others):
        assert [line.split()[0] for line in table[-len(ROWS) :]] == ["rep", "adapters", "full"]


def test_names_are_shown_whole_before_long_values_get_room() -> None:
    rows = [("training.gradient_checkpointing", "False", "default"), ("data.labels", "word, " * 40, "found")]
    (table,) = drawn(("setting", "value", "from"), rows, 60)

    assert any("training.gradient_checkpointing" in line for line in table)
    assert sum(line.count("word") for line in table) == 40


RUNS = [
    (
        "classification-rep-minilm",
        "stopped at 4/12",
        "accuracy",
        "0.7000*",
        "classification",
        "minilm",
        "2.7 kB",
    ),
    (
        "grid/cells/minilm-sst2-rep-seed0",
        "finished",
        "accuracy",
        "0.9",
        "sst2",
        "SmolLM2-135M-Instruct",
        "7 kB",
    ),
]
OF_RUNS = ("run", "status", "metric", "score", "task", "model", "folder")


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_column_stands_below_rather_than_that_a_word_is_broken(width: int) -> None:
    lines = [line for table in drawn(OF_RUNS, RUNS, width) for line in table]

    assert max(map(len, lines)) <= width
    for word in {word for row in RUNS for cell in row for word in cell.split()}:
        assert any(word in line.split() for line in lines), word
    assert len(drawn(OF_RUNS, RUNS, width)) == (1 if width == 120 else 2)


def test_a_word_that_is_broken_anyway_moves_no_column() -> None:
    checksum = "0123456789abcdef" * 4
    rows = [("data.sha256", checksum, "found"), ("seed", "none at all", "default")]

    (table,) = drawn(("setting", "value", "from"), rows, 60)

    assert [line.split()[0] for line in table if line.startswith(("data", "seed"))] == ["data.sha256", "seed"]
    assert "found" in table[2]


def test_an_empty_table_shows_its_heads() -> None:
    (table,) = drawn(("setting", "value"), [], 60)

    assert table[0].split() == ["setting", "value"]
