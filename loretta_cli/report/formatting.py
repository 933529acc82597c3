"""Numbers and text as they are shown, and streams that cannot fail on a character.

Imports nothing of ours.
"""

from __future__ import annotations

import io
import math
import unicodedata
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

# Shares and correlations: always four decimals on the console, so that columns line up.
_FOUR_DECIMALS = {
    "accuracy",
    "exact_match",
    "f1",
    "macro_f1",
    "matthews_correlation",
    "pearson",
    "spearman",
}
_SCIENTIFIC = {"learning_rate", "epsilon"}

_CONTROL_CHARACTERS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A)}


def compact_number(value: float) -> str:
    """Write a number for a log line: four significant digits, no padding ("0.001", "0.6931", "12345").

    Args:
        value: Any number; NaN and infinities are named.

    Returns:
        Text without spaces that ``float`` reads back.
    """
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    # From here "g" would turn to an exponent, which nobody reads as seconds or as tokens.
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def display_number(name: str, value: float) -> str:
    """Write a number for the eye, padded so that it does not jump from one event to the next.

    Args:
        name: What the number is; it decides the form.
        value: Any number.

    Returns:
        Metrics with four decimals, rates such as "1.2e-03", anything else with four significant digits.
    """
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    if name in _FOUR_DECIMALS:
        return f"{value:.4f}"
    if name in _SCIENTIFIC:
        return f"{value:.1e}"
    return compact_number(value) if abs(value) >= 1000 else f"{value:#.4g}".removesuffix(".")


def clock_time(seconds: float) -> str:
    """A duration as hours, minutes and seconds: "0:12:03", "147:00:00"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def clean(text: str) -> str:
    """``text`` without control characters (escape codes, carriage returns); newlines and tabs stay."""
    return text.translate(_CONTROL_CHARACTERS)


def one_line(text: str) -> str:
    """``text`` cleaned, with each run of white space, newlines included, as one space."""
    return " ".join(clean(text).split())


def is_number_column(cells: Sequence[str]) -> bool:
    """Whether every filled cell starts with a digit after its sign, so that the column aligns right."""
    filled = [cell.strip().lstrip("+-~<>") for cell in cells if cell.strip() not in ("", "-")]
    return bool(filled) and all(cell[:1].isdigit() for cell in filled)


def align_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table in plain characters: heads, a rule, one line a row; nothing is cut off.

    Args:
        columns: Column heads.
        rows: Cells, as many in a row as there are columns.

    Returns:
        Lines without trailing spaces; columns of numbers are aligned right.
    """
    grid = [[one_line(cell) for cell in row] for row in (columns, *rows)]
    by_column = list(zip(*grid, strict=True))
    widths = [max(map(_cells, column)) for column in by_column]
    right = [is_number_column(column[1:]) for column in by_column]
    grid.insert(1, ["-" * width for width in widths])
    return [
        "  ".join(map(_pad, row, widths, right)).rstrip()  # the last column needs no padding
        for row in grid
    ]


def tolerate_any_character(stream: TextIO) -> TextIO:
    """Make ``stream`` show "?" for what its encoding lacks (C locale, Windows pipes) instead of failing.

    Args:
        stream: A text stream; one that cannot be reconfigured is left alone.

    Returns:
        The same stream.
    """
    if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
        stream.reconfigure(errors="replace")
    return stream


def brackets(stream: TextIO) -> tuple[str, str]:
    """What stands around a marked text: a pair that no text has, or ASCII where the stream lacks it."""
    pair = ("\N{MATHEMATICAL LEFT WHITE SQUARE BRACKET}", "\N{MATHEMATICAL RIGHT WHITE SQUARE BRACKET}")
    try:
        "".join(pair).encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return "[[", "]]"
    return pair


def _cells(text: str) -> int:
    """Count the terminal cells that ``text`` takes: wide East Asian characters take two."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )


def _pad(text: str, width: int, right: bool) -> str:
    """``text`` filled with spaces to ``width`` cells."""
    space = " " * (width - _cells(text))
    return space + text if right else text + space
