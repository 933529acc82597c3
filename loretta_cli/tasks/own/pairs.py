"""What classification and regression share: a text, perhaps a second one, and the prompt made of them."""

from __future__ import annotations

from loretta_cli.tasks.base import Render, Texts
from loretta_cli.tasks.sources import Columns


def text_columns(columns: Columns) -> tuple[str, ...]:
    """The one or two columns with text."""
    return (columns.text,) if columns.text_pair is None else (columns.text, columns.text_pair)


def ending_with(columns: Columns, ending: str) -> Render:
    """The prompt where the user gives none: each text on a line of its own, and the ending on the last."""
    names = text_columns(columns)

    def render(row: Texts) -> str:
        return "\n".join([*(row[name].strip() for name in names), ending])

    return render
