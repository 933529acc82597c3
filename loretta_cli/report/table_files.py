"""Tables as text for files: Markdown and CSV. Imports nothing of ours."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, with a newline at its end.

    Args:
        columns: Column heads.
        rows: Cells, as many in a row as there are columns.
    """
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def csv_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table as CSV; None is an empty cell.

    Args:
        columns: Column heads.
        rows: Values, as many in a row as there are columns.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([columns, *rows])
    return text.getvalue()
