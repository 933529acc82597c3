"""The .csv and .tsv readers."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from loretta_cli.errors import DataError
from loretta_cli.tasks.sources.csv_file import read_csv, read_tsv

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def fault(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        read_csv(path, "train.csv")
    return caught.value


def test_rows_carry_values_file_and_line(write: Callable[..., Path]) -> None:
    rows = read_csv(write("a.csv", "text,label\ngood,1\n\nbad,0\n"), "data/train.csv")
    assert [dict(row.values) for row in rows] == [
        {"text": "good", "label": "1"},
        {"text": "bad", "label": "0"},
    ]
    assert [row.number for row in rows] == [2, 4]
    assert rows[0].file == "data/train.csv"


def test_a_cell_with_line_breaks_does_not_shift_the_lines_that_follow(write: Callable[..., Path]) -> None:
    rows = read_csv(write("a.csv", 'text,label\r\n"a\r\nb ""c"", d",1\r\ne,0\r\n'), "a.csv")
    assert rows[0].values["text"] == 'a\r\nb "c", d'
    assert [row.number for row in rows] == [2, 4]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_header_tells_the_delimiter(write: Callable[..., Path], delimiter: str) -> None:
    other = ";" if delimiter == "," else ","
    text = f"text{delimiter}label\na{other}b{other}c{delimiter}1\n"
    assert read_csv(write("a.csv", text), "a.csv")[0].values == {"text": f"a{other}b{other}c", "label": "1"}


def test_a_delimiter_inside_a_quoted_header_name_does_not_count(write: Callable[..., Path]) -> None:
    rows = read_csv(write("a.csv", '"a;b;c",label\n1,2\n'), "a.csv")
    assert rows[0].values == {"a;b;c": "1", "label": "2"}


def test_a_file_may_have_one_column(write: Callable[..., Path]) -> None:
    assert read_csv(write("a.csv", "text\ngood\n"), "a.csv")[0].values == {"text": "good"}


def test_tabs_alone_part_the_cells_of_a_tsv(write: Callable[..., Path]) -> None:
    rows = read_tsv(write("a.tsv", "a,b,c\tlabel\n1,2\t3\n"), "a.tsv")
    assert rows[0].values == {"a,b,c": "1,2", "label": "3"}


def test_header_names_are_trimmed_and_cells_are_not(write: Callable[..., Path]) -> None:
    rows = read_csv(write("a.csv", b"\xef\xbb\xbftext , label\n a ,b\n"), "a.csv")
    assert rows[0].values == {"text": " a ", "label": "b"}


def test_a_cell_may_be_longer_than_the_csv_module_allows_and_its_limit_is_set_back(
    write: Callable[..., Path],
) -> None:
    before = csv.field_size_limit()
    long_text = "x" * (before + 10)
    rows = read_csv(write("a.csv", f"text,label\n{long_text},1\n"), "a.csv")
    assert rows[0].values["text"] == long_text
    assert csv.field_size_limit() == before


def test_the_limit_is_set_back_after_an_error_too(write: Callable[..., Path]) -> None:
    before = csv.field_size_limit()
    fault(write("a.csv", 'text\n"' + "x" * (before + 10)))
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "train.csv is empty; expected a header line and rows."),
        ("\n\n", "train.csv is empty; expected a header line and rows."),
        ("text,label\n", "train.csv has a header and no rows."),
        ("text,label,text\na,b,c\n", "train.csv, line 1: the header has the column 'text' twice."),
        ("text,,label\na,b,c\n", "train.csv, line 1: column 2 of the header has no name."),
        ("text,label\na,1\nb\n", "train.csv, line 3: 1 cell, but the header has 2 columns (text, label)."),
        ("text,label\na,b,1\n", "train.csv, line 2: 3 cells, but the header has 2 columns (text, label)."),
        ("text,label\na,1\n\0,2\n", "train.csv, line 3: a NUL byte, which no text file holds."),
        ('text,label\na,1\n"b,2\nc,3\n', "train.csv, line 3: a quote is opened and never closed."),
        ('text,label\n"a\nb"c,3\n', "train.csv, line 2: the quotes are wrong (',' expected after '\"')."),
        ('"text,label\na,1\n', "train.csv, line 1: a quote is opened and never closed."),
    ],
)
def test_a_fault_is_told_by_file_and_line(write: Callable[..., Path], content: str, message: str) -> None:
    assert fault(write("a.csv", content)).message == message


def test_a_nameless_first_column_is_answered_with_the_pandas_option(write: Callable[..., Path]) -> None:
    assert "index=False" in fault(write("a.csv", ",text\n0,a\n")).hint


def test_a_row_with_too_many_cells_is_answered_with_how_to_quote(write: Callable[..., Path]) -> None:
    assert "quotes" in fault(write("a.csv", "text,label\nyes, please,1\n")).hint
