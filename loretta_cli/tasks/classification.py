"""``--task classification``: the user's own labelled text. Columns are mapped, labels discovered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loretta_cli.errors import DataError
from loretta_cli.tasks.base import Prompt, Task, label_name
from loretta_cli.tasks.sources import Columns, Row

NAME = "classification"


def custom_task(columns: Columns, labels: Sequence[str]) -> Task:
    """The task of some columns and labels.

    Args:
        columns: Which columns hold the text, the second text if any, and the label.
        labels: Label names in the order of their numbers.
    """

    def render(row: Mapping[str, str]) -> str:
        text = row[columns.text].strip()
        if columns.text_pair is not None:
            text = f"{text}\n{row[columns.text_pair].strip()}"
        return f"{text}\nLabel:"

    return Task(
        name=NAME,
        version=1,
        text=columns.text,
        text_pair=columns.text_pair,
        label=columns.label,
        labels=tuple(labels),
        prompt=Prompt(render=render, options=tuple(f" {name}" for name in labels), cut=columns.text),
        metrics=("accuracy", "macro_f1"),
        labels_by_name=True,
    )


def discover_labels(rows: Sequence[Row], column: str, given: Sequence[str] | None) -> tuple[str, ...]:
    """The label names of a data set: those given, else all that occur in the training rows, sorted.

    Whole numbers sort by value, before names, and keep their number as name.

    Raises:
        DataError: If there are fewer than two.
    """
    if given is not None:
        return tuple(given)
    found = {label_name(row.values.get(column)) for row in rows}
    labels = sorted(found, key=_place)
    if len(labels) < 2:
        raise DataError(
            f"{rows[0].file}: the column {column!r} has {len(labels)} label in {len(rows)} training rows; a "
            "classification task needs at least 2.",
            hint="Check data.columns.label.",
        )
    return tuple(labels)


def _place(name: str) -> tuple[int, int, str]:
    """The sort key of a label name."""
    digits = name.removeprefix("-")
    return (0, int(name), name) if digits.isdecimal() else (1, 0, name)
