"""Reads .txt: its paragraphs are rows with one column, ``text``. Imports errors, rows and text only."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from loretta_cli.errors import DataError
from loretta_cli.tasks.sources.rows import Row
from loretta_cli.tasks.sources.text import read_text

if TYPE_CHECKING:
    from pathlib import Path


def read_paragraphs(path: Path, name: str) -> tuple[Row, ...]:
    """Read a .txt file; lines between blank lines are one paragraph, kept as they stand.

    Args:
        path: Where the file is.
        name: What the user calls it.

    Returns:
        At least one row, each numbered by the line it starts on.

    Raises:
        DataError: If the file cannot be read or has no text.

    """
    lines = enumerate(read_text(path, name).splitlines(), start=1)
    rows = []
    for is_text, group in itertools.groupby(lines, key=lambda line: bool(line[1].strip())):
        if is_text:
            paragraph = list(group)
            rows.append(Row({"text": "\n".join(line for _, line in paragraph)}, name, paragraph[0][0]))
    if not rows:
        raise DataError(f"{name} has no text.")
    return tuple(rows)
