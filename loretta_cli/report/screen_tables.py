"""Tables for a terminal: how wide each column may be, so that no number is broken.

Imports rich and :mod:`report.formatting`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from loretta_cli.report.formatting import is_number_column, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_GAP = 2
# Text may be folded; below these widths it is unreadable, so the columns are shown in parts instead.
_NARROWEST_NAME, _NARROWEST_TEXT = 16, 10
# So are those in which a word would be broken, up to these lengths: a path or a checksum is folded anyway.
_WHOLE_NAME, _WHOLE_WORD = 0.6, 24


@dataclass(frozen=True, slots=True)
class _Column:
    """A column's cells and the widths it can have."""

    name: str
    cells: tuple[str, ...]
    is_number: bool
    narrowest: int
    widest: int


def tables_for_screen(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[Table]:
    """The rows in one table, or in several below each other that each begin with the first column.

    Numbers stay whole with their units; text and column heads are folded where there is no room.

    Args:
        columns: Column heads.
        rows: Cells, as many in a row as there are columns.
        width: Terminal cells in a line.

    Yields:
        Tables no wider than ``width``, unless the first column and one of numbers are wider already.
    """
    measured = [
        _measure(
            one_line(name),
            tuple(one_line(row[index]) for row in rows),
            _NARROWEST_TEXT if index else _NARROWEST_NAME,
            whole=_WHOLE_WORD if index else int(width * _WHOLE_NAME),
        )
        for index, name in enumerate(columns)
    ]
    for part in _parts(measured, width):
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        table.header_style = "bold"
        for column, cells in zip(part, _shared(part, width), strict=True):
            table.add_column(
                Text(column.name),
                justify="right" if column.is_number else "left",
                overflow="fold",
                width=cells,
            )
        for row in zip(*(column.cells for column in part), strict=True):
            table.add_row(*(Text(cell) for cell in row))
        yield table


def _measure(name: str, cells: tuple[str, ...], least: int, *, whole: int) -> _Column:
    """A column, with the widths that it can have.

    Args:
        name: Its head.
        cells: Below it.
        least: The width that text gets at least, where it is as wide.
        whole: Length up to which a word is not broken.
    """
    is_number = is_number_column(cells)
    if is_number:
        # A unit is not to be parted from its number.
        cells = tuple(cell.replace(" ", "\N{NO-BREAK SPACE}") for cell in cells)
    longest = max(map(cell_len, cells), default=0)
    widest = max(longest, cell_len(name), 1)
    if is_number:
        narrowest = max(longest, 1, *(cell_len(word) for word in name.split()))
    else:
        words = [cell_len(word) for text in (name, *cells) for word in text.split()]
        longest_whole = max((length for length in words if length <= whole), default=0)
        narrowest = max(longest_whole, min(widest, least))
    return _Column(name, cells, is_number, narrowest, widest)


def _parts(columns: list[_Column], width: int) -> Iterator[list[_Column]]:
    """The columns in order, as many at a time as fit beside the first."""
    part: list[_Column] = columns[:1]
    for column in columns[1:]:
        needed = sum(one.narrowest + _GAP for one in part) + column.narrowest
        if needed > width and len(part) > 1:
            yield part
            part = columns[:1]
        part = [*part, column]
    if part:
        yield part


def _shared(part: list[_Column], width: int) -> list[int]:
    """What each column gets: the least it needs, then what is left, names first, heads of numbers last."""
    widths = [column.narrowest for column in part]
    left = width - sum(widths) - _GAP * (len(part) - 1)
    for index in sorted(
        range(len(part)), key=lambda i: (part[i].is_number, i > 0, part[i].widest - part[i].narrowest)
    ):
        more = max(0, min(left, part[index].widest - part[index].narrowest))
        widths[index] += more
        left -= more
    return widths
