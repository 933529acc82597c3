"""``--task classification``: the user's own labelled text. Columns are mapped, labels discovered."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loretta_cli.errors import ConfigError, DataError
from loretta_cli.tasks.base import MASK, MaskedPrompt, Prompt, Task
from loretta_cli.tasks.cells import label_name
from loretta_cli.tasks.labelled import labelled_task
from loretta_cli.tasks.own.asked import Asked, OwnTask, columns_note
from loretta_cli.tasks.own.pairs import ending_with, text_columns
from loretta_cli.tasks.sources import Columns, Row, check_rows, detect_columns

FEW_ROWS = 10
"""Of fewer training rows, little can be told."""


def custom_task(columns: Columns, labels: Sequence[str], metrics: Sequence[str]) -> Task:
    """The task of some columns and labels.

    Args:
        columns: Which columns hold the text, the second text if any, and the label.
        labels: Label names in the order of their numbers.
        metrics: Names of the metrics, the main one first.
    """
    options = tuple(f" {name}" for name in labels)
    return labelled_task(
        "classification",
        texts=text_columns(columns),
        label=columns.label,
        labels=tuple(labels),
        prompt=Prompt(render=ending_with(columns, "Label:"), options=options, cut=columns.text),
        masked=MaskedPrompt(render=ending_with(columns, f"Label:{MASK}."), words=options, cut=columns.text),
        metrics=tuple(metrics),
        by_name=True,
        roles={"text": columns.text, "text_pair": columns.text_pair, "label": columns.label},
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
            hint="Check data.columns.label."
            if len(rows) >= FEW_ROWS
            else "Check data.columns.label, or give more rows: of few, those of a label may all be held out.",
        )
    return tuple(labels)


def _make(asked: Asked) -> tuple[Task, list[str]]:
    given = asked.data.columns
    columns = detect_columns(asked.rows, text=given.text, text_pair=given.text_pair, label=given.label)
    for part in asked.splits:
        check_rows(part, columns)
    labels = discover_labels(asked.rows, columns.label, asked.data.labels)
    metrics = asked.metrics(("accuracy", "macro_f1"), ("matthews_correlation", "f1"))
    if "f1" in metrics and len(labels) != 2:
        raise ConfigError(
            f"task.metrics: f1 is that of the second of two labels, and there are {len(labels)} labels.",
            hint="Use macro_f1.",
        )
    notes = [f"{len(labels)} labels: {', '.join(labels[:12])}{', …' if len(labels) > 12 else ''}"]
    if asked.data.labels is None:
        notes += _doubts(labels, len(asked.rows), columns.label)
    if columns.detected:
        notes.append(columns_note(text=columns.text, label=columns.label))
    return custom_task(columns, labels, metrics), notes


def _doubts(labels: Sequence[str], rows: int, column: str) -> list[str]:
    """What speaks against a column being one of labels: fractions in it, or hardly two rows of a label."""
    doubts = []
    if fraction := next((name for name in labels if _is_fraction(name)), None):
        doubts.append(f"labels such as {fraction} are numbers: if they are scores, use --task regression")
    if rows >= FEW_ROWS and len(labels) > rows / 2:
        doubts.append(
            f"{len(labels)} labels in {rows} training rows are too many to learn: is {column!r} the column "
            "of the labels? Another one: --set data.columns.label=NAME"
        )
    return doubts


def _is_fraction(name: str) -> bool:
    """Whether a label is a number such as ``0.37``; ``1.0`` is a class that pandas wrote."""
    try:
        value = float(name)
    except ValueError:
        return False
    return math.isfinite(value) and not value.is_integer()


def _place(name: str) -> tuple[int, int, str]:
    """The sort key of a label name."""
    digits = name.removeprefix("-")
    return (0, int(name), name) if digits.isdecimal() else (1, 0, name)


TASK = OwnTask(
    reads=(
        *("data.columns.text", "data.columns.text_pair", "data.columns.label", "data.labels"),
        *("task.prompt", "task.masked_prompt", "task.cut", "task.options", "task.metrics"),
    ),
    make=_make,
)
