"""Numbers, text and tables as they are shown."""

from __future__ import annotations

import io
import math

import pytest

from loretta_cli.report.formatting import (
    align_table,
    clean,
    clock_time,
    compact_number,
    display_number,
    is_number_column,
    one_line,
    tolerate_any_character,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.69314718, "0.6931"),
        (0.001, "0.001"),
        (1e-6, "1e-06"),
        (0.81, "0.81"),
        (12345.678, "12346"),
        (-2500.4, "-2500"),
        (7, "7"),
        (12_345_678, "12345678"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
    ],
)
def test_a_compact_number_has_four_significant_digits_and_no_padding(value: float, text: str) -> None:
    assert compact_number(value) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("loss", 0.69, "0.6900"),
        ("loss", 12.3456, "12.35"),
        ("loss", 123456.7, "123457"),
        ("learning_rate", 0.0012, "1.2e-03"),
        ("accuracy", 0.8, "0.8000"),
        ("matthews_correlation", -0.05432, "-0.0543"),
        ("queries", 4, "4"),
        ("loss", math.nan, "nan"),
    ],
)
def test_a_displayed_number_takes_the_form_of_its_name(name: str, value: float, text: str) -> None:
    assert display_number(name, value) == text


def test_cleaning_removes_escape_codes_but_keeps_lines_and_tabs() -> None:
    assert clean("a\x1b[31mb\r\x9b\x00c\td\n名") == "a[31mbc\td\n名"


def test_one_line_joins_lines() -> None:
    assert one_line(" a\n  b\tc ") == "a b c"


def test_only_a_column_of_numbers_counts_as_one() -> None:
    assert is_number_column(["1,234", "-5 %", "~0.1", "", "-"])
    assert not is_number_column(["1", "adp"])
    assert not is_number_column(["", "-"])


def test_a_table_is_aligned_by_terminal_cells_and_nothing_is_cut() -> None:
    wide = "x" * 150
    lines = align_table(["name", "count"], [["名前", "5"], [wide, "1,000"]])
    assert lines == [
        f"{'name':<150}  count",
        f"{'-' * 150}  -----",
        f"名前{' ' * 146}      5",
        f"{wide}  1,000",
    ]


def test_a_table_without_rows_shows_its_heads() -> None:
    assert align_table(["a", "bc"], []) == ["a  bc", "-  --"]


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        align_table(["a", "b"], [["1"]])


def test_a_stream_shows_a_question_mark_for_what_its_encoding_lacks() -> None:
    buffer = io.BytesIO()
    stream = tolerate_any_character(io.TextIOWrapper(buffer, encoding="ascii"))
    stream.write("name 名")
    stream.flush()
    assert buffer.getvalue() == b"name ?"


def test_a_stream_that_tolerates_already_keeps_its_way() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace")
    assert tolerate_any_character(stream).errors == "backslashreplace"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00:00"), (59.6, "0:01:00"), (723, "0:12:03"), (7 * 86400 + 1, "168:00:01")],
)
def test_a_duration_has_hours_minutes_and_seconds(seconds: float, text: str) -> None:
    assert clock_time(seconds) == text
