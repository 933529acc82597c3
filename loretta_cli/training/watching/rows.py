"""What the training rows say before the first step: whether they teach anything, and what guessing scores."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence

from loretta_cli.errors import DataError
from loretta_cli.numerals import counted
from loretta_cli.tasks import Example
from loretta_cli.tasks.forms import Row, TaskForm
from loretta_cli.training.watching.readings import MASKED

HINT = "See what a row becomes: loretta train ... --dry-run."


def check_rows(rows: Sequence[Row], examples: Sequence[Example]) -> str:
    """Refuse rows of which none teaches anything.

    Args:
        rows: To train on.
        examples: What they were made from; in the same order, if there are as many.

    Returns:
        What there is to say of some that teach nothing; an empty string if all do.

    Raises:
        DataError: If none does.
    """
    empty = [number for number, row in enumerate(rows) if _teaches_nothing(row)]
    if not empty:
        return ""
    if len(empty) == len(rows):
        raise DataError(
            f"None of the {counted(len(rows), 'training row')} has anything to learn: all labels are masked "
            f"({MASKED}), or all answers are empty.",
            hint=f"Check the column of the labels or answers, and data.max_length. {HINT}",
        )
    first = examples[empty[0]].place if len(examples) == len(rows) else ""
    where = f", the first at {first}" if first else ""
    had = counted(len(empty), "has", "have")
    return (
        f"of {counted(len(rows), 'training row')} {had} nothing to learn: the label is masked ({MASKED}) or "
        f"the answer is empty{where}"
    )


def _teaches_nothing(row: Row) -> bool:
    return row.get("labels") == MASKED or not row.get("weight", 1.0)


def chance_loss(form: TaskForm, examples: Sequence[Example]) -> float | None:
    """The loss of always saying how frequent each label is; of scores, their variance.

    Args:
        form: How the model meets the task.
        examples: To train on.

    Returns:
        None where there is no such number: each row has options of its own, or a text is learned.
    """
    labels = [example.label for example in examples]
    if form.task.kind == "regression" and form.name == "classification":
        return statistics.pvariance(labels)
    if form.task.kind != "classification":
        return None
    shares = [count / len(labels) for count in Counter(labels).values()]
    return -sum(share * math.log(share) for share in shares) or None
