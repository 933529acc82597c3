"""Reads .csv and .tsv with a header line, UTF-8. Imports errors, rows and text only."""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager
from typing import TYPE_CHECKING

from loretta_cli.errors import DataError
from loretta_cli.numerals import counted
from loretta_cli.tasks.sources.rows import Row
from loretta_cli.tasks.sources.text import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

DELIMITERS = (",", ";", "\t")
QUOTING = (
    'Put a cell that holds quotes, delimiters or line breaks in quotes, and double the quotes in it ("").'
)
# The csv module keeps its limit in a C long, which has 32 bits on some systems.
_LARGEST_LIMIT = 2**31 - 1


def read_csv(path: Path, name: str) -> tuple[Row, ...]:
    """Read a .csv file; its header tells whether commas, semicolons or tabs part the cells.

    Args:
        path: Where the file is.
        name: What the user calls it.

    Returns:
        At least one row, each numbered by the line it starts on; every value is text.

    Raises:
        DataError: If the file cannot be read, a header name is empty or doubled, a row has more or
            fewer cells than the header, a quote is not closed, or there is no row.

    """
    return _read(path, name, DELIMITERS)


def read_tsv(path: Path, name: str) -> tuple[Row, ...]:
    """Read a .tsv file: as :func:`read_csv`, with tabs between the cells.

    Args:
        path: Where the file is.
        name: What the user calls it.

    Returns:
        At least one row, each numbered by the line it starts on; every value is text.

    Raises:
        DataError: As :func:`read_csv`.

    """
    return _read(path, name, ("\t",))


def _read(path: Path, name: str, delimiters: Sequence[str]) -> tuple[Row, ...]:
    text = read_text(path, name)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{name}, line {line}: a NUL byte, which no text file holds.")
    with _field_size_limit(len(text)):
        records = list(_records(text, _delimiter(text, delimiters), name))
    if not records:
        raise DataError(f"{name} is empty; expected a header line and rows.")
    header_line, header = records[0]
    columns = _column_names(header, f"{name}, line {header_line}")
    if len(records) == 1:
        raise DataError(f"{name} has a header and no rows.")
    return tuple(
        Row(_values(columns, cells, f"{name}, line {line}"), name, line) for line, cells in records[1:]
    )


@contextmanager
def _field_size_limit(characters: int) -> Iterator[None]:
    """Let a cell be as long as the whole file, then set the process-wide limit back."""
    before = csv.field_size_limit()
    csv.field_size_limit(max(before, min(characters + 1, _LARGEST_LIMIT)))
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _records(text: str, delimiter: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not blank, with the line it starts on (a quoted cell may hold line breaks)."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    start = 1
    try:
        for cells in reader:
            if cells:
                yield start, cells
            start = reader.line_num + 1
    except csv.Error as error:
        unclosed = "unexpected end of data" in str(error)
        problem = "a quote is opened and never closed" if unclosed else f"the quotes are wrong ({error})"
        raise DataError(f"{name}, line {start}: {problem}.", hint=QUOTING) from error


def _delimiter(text: str, candidates: Sequence[str]) -> str:
    """Choose the candidate that cuts the header into most cells; the first one when several do."""
    return max(candidates, key=lambda delimiter: _header_cells(text, delimiter))


def _header_cells(text: str, delimiter: str) -> int:
    try:
        _, header = next(_records(text, delimiter, ""), (0, []))
    except DataError:
        return 0
    return len(header)


def _column_names(header: list[str], place: str) -> list[str]:
    columns = [cell.strip() for cell in header]
    for position, column in enumerate(columns, start=1):
        if not column:
            raise DataError(
                f"{place}: column {position} of the header has no name.",
                hint="Name every column. If pandas wrote the file, use to_csv(..., index=False).",
            )
        if columns.index(column) + 1 != position:
            raise DataError(
                f"{place}: the header has the column {column!r} twice.", hint="Rename one of them."
            )
    return columns


def _values(columns: list[str], cells: list[str], place: str) -> dict[str, object]:
    if len(cells) != len(columns):
        raise DataError(
            f"{place}: {counted(len(cells), 'cell')}, but the header has {counted(len(columns), 'column')} "
            f"({', '.join(columns)}).",
            hint=QUOTING,
        )
    return dict(zip(columns, cells, strict=True))
