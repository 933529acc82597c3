"""Rows: where they are said to be, and how they are drawn and held out."""

from __future__ import annotations

import dataclasses

import pytest

from loretta_cli.errors import DataError
from loretta_cli.tasks.sources import Row, column_error, permutation
from loretta_cli.tasks.sources.rows import hold_out

ROWS = tuple(Row({"text": str(i)}, "all.jsonl", i + 1) for i in range(20))
# Recorded once: a draw that changes would change which rows every recorded run was trained on.
KNOWN_DRAW = [19, 6, 8, 14, 1]


def texts(rows: tuple[Row, ...]) -> list[int]:
    return [int(str(row.values["text"])) for row in rows]


def test_a_column_error_names_file_line_column_and_keeps_the_hint() -> None:
    error = column_error(Row({}, "train.jsonl", 12), "label", "expected text.", hint="Fix it.")
    assert isinstance(error, DataError)
    assert error.message == "train.jsonl, line 12, column 'label': expected text."
    assert error.hint == "Fix it."


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ("a.jsonl", "a.jsonl, line 3"),
        ("a.CSV", "a.CSV, line 3"),
        ("a.tsv", "a.tsv, line 3"),
        ("a.parquet", "a.parquet, row 3"),
        ("org/name/train", "org/name/train, row 3"),
    ],
)
def test_only_files_of_lines_speak_of_lines(file: str, place: str) -> None:
    assert Row({}, file, 3).place == place


def test_a_row_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ROWS[0].number = 5  # type: ignore[misc]


def test_the_order_of_a_known_seed_never_changes() -> None:
    assert permutation(20, seed=0)[:5] == KNOWN_DRAW
    assert sorted(permutation(20, seed=0)) == list(range(20))


def test_seeds_below_zero_are_seeds_like_others() -> None:
    assert permutation(20, seed=-1) == permutation(20, seed=-1)
    assert permutation(20, seed=-1) != permutation(20, seed=-2)


def test_held_out_rows_and_the_others_make_up_the_file_in_its_order() -> None:
    train, validation = hold_out(ROWS, 0.25, seed=0)
    assert len(validation) == 5
    assert sorted(texts(train) + texts(validation)) == list(range(20))
    assert texts(train) == sorted(texts(train))
    assert texts(validation) == sorted(texts(validation))


def test_other_seeds_hold_out_other_rows() -> None:
    assert hold_out(ROWS, 0.25, seed=0) == hold_out(ROWS, 0.25, seed=0)
    assert hold_out(ROWS, 0.25, seed=0) != hold_out(ROWS, 0.25, seed=1)
    assert texts(hold_out(ROWS, 0.25, seed=0)[1]) != [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("fraction", "held"), [(0.0001, 1), (0.9999, 19)])
def test_both_shares_have_at_least_one_row(fraction: float, held: int) -> None:
    train, validation = hold_out(ROWS, fraction, seed=0)
    assert (len(train), len(validation)) == (20 - held, held)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_share_outside_zero_and_one_is_refused(fraction: float) -> None:
    with pytest.raises(DataError, match="between 0 and 1"):
        hold_out(ROWS, fraction, seed=0)


def test_one_row_cannot_be_split() -> None:
    with pytest.raises(DataError, match=r"all\.jsonl has 1 row; .* at least 2"):
        hold_out(ROWS[:1], 0.5, seed=0)
    with pytest.raises(DataError, match="no rows"):
        hold_out((), 0.5, seed=0)
