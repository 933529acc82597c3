"""``--task regression``: the user's own texts, each with a number.

A head has one output. A language model can say the number where ``task.options`` lists some: each option is a
number, and their mean, weighted by probability, is the answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from loretta_cli.errors import ConfigError
from loretta_cli.tasks.base import MASK, Example, MaskedPrompt, Prompt, Task
from loretta_cli.tasks.cells import Cells
from loretta_cli.tasks.own.asked import Asked, OwnTask, columns_note
from loretta_cli.tasks.own.pairs import ending_with, text_columns
from loretta_cli.tasks.sources import Columns, detect_columns

LABEL_NAMES = ("label", "labels", "score", "rating", "value", "target", "stars", "similarity")


def _make(asked: Asked) -> tuple[Task, list[str]]:
    given, settings = asked.data.columns, asked.task
    columns = detect_columns(
        asked.rows,
        text=given.text,
        text_pair=given.text_pair,
        label=given.label,
        label_names=LABEL_NAMES,
    )
    if settings.options is None and (settings.prompt is not None or settings.masked_prompt is not None):
        raise ConfigError(
            "The task regression has a prompt only with task.options, the numbers that may answer it.",
            hint='Add task.options=["1", "2", "3", "4", "5"], or leave the prompt out for a head.',
        )
    values = _values(settings.options) if settings.options is not None else ()
    texts = text_columns(columns)

    def read(cells: Cells) -> Example:
        low, high = (values[0], values[-1]) if values else (-math.inf, math.inf)
        return Example(cells.texts(*texts), cells.score(columns.label, low=low, high=high))

    options = tuple(f" {option.strip()}" for option in settings.options or ())
    prompt = Prompt(render=ending_with(columns, "Score:"), options=options, cut=columns.text)
    masked = MaskedPrompt(render=ending_with(columns, f"Score:{MASK}."), words=options, cut=columns.text)
    task = Task(
        name="regression",
        version=1,
        kind="regression",
        columns=(*texts, columns.label),
        read=read,
        metrics=asked.metrics(("spearman", "pearson")),
        values=values,
        head=texts,
        prompt=prompt if options else None,
        masked=masked if options else None,
        roles={"text": columns.text, "text_pair": columns.text_pair, "label": columns.label},
        unanswered=lambda cells: {columns.label: values[0] if values else 0},
    )
    return task, _notes(columns)


def _notes(columns: Columns) -> list[str]:
    return [columns_note(text=columns.text, label=columns.label)] if columns.detected else []


def _values(options: Sequence[str]) -> tuple[float, ...]:
    """The numbers that the options are.

    Raises:
        ConfigError: If one is none, or they do not rise.
    """
    values: list[float] = []
    for option in options:
        try:
            value = float(option)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or (values and value <= values[-1]):
            raise ConfigError(
                f"task.options: the options of a regression are rising numbers, found {option!r}.",
                hint='Write them like ["1", "2", "3", "4", "5"].',
            )
        values.append(value)
    return tuple(values)


TASK = OwnTask(
    reads=(
        *("data.columns.text", "data.columns.text_pair", "data.columns.label"),
        *("task.prompt", "task.masked_prompt", "task.cut", "task.options", "task.metrics"),
    ),
    make=_make,
)
