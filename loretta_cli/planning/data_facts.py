"""What is to be known of the rows before a run: their lengths, how many are cut, the balance of labels."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loretta_cli.numerals import counted
from loretta_cli.planning.passes import row_length
from loretta_cli.tasks.base import Example, Task
from loretta_cli.tasks.forms import Encoded, TaskForm

PERCENTILES = (50, 90, 99)
MOST_OF_ONE_LABEL = 0.9
_UNLIMITED = 2**30


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows that are too long.

    Args:
        rows: How many.
        most: Tokens that the longest of them loses.
        median: Tokens that the middle one loses.
        longest: Tokens of the longest one, uncut: the ``max_length`` that cuts none.
    """

    rows: int
    most: int
    median: int
    longest: int


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """What is to be known of the rows of a split.

    Args:
        split: ``train``, ``selection`` or ``validation``.
        rows: How many.
        lengths: Tokens of a row as the model meets it, by percentile, and ``max``.
        labels: Rows of each label, in the task's order; empty where rows have no labels of the task's.
        cut: Those that are too long; None if none is.
    """

    split: str
    rows: int
    lengths: Mapping[str, int]
    labels: Mapping[str, int]
    cut: Cut | None = None

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return dataclasses.asdict(self)


def facts_of(form: TaskForm, split: str, examples: Sequence[Example], encoded: Encoded) -> SplitFacts:
    """Look at the rows of a split.

    Args:
        form: How the model meets the task.
        split: Its name.
        examples: The rows.
        encoded: The same as token ids.
    """
    lengths = sorted(map(row_length, encoded.rows))
    found = {str(percent): _percentile(lengths, percent) for percent in PERCENTILES}
    return SplitFacts(
        split,
        len(examples),
        {**found, "max": lengths[-1]} if lengths else {},
        _labels(form.task, examples),
        _cut(form, examples, encoded) if encoded.shortened else None,
    )


def label_warnings(facts: SplitFacts) -> list[str]:
    """What may spoil a training on these rows, a sentence each."""
    total = sum(facts.labels.values())
    if not total:
        return []
    found = []
    if missing := [name for name, count in facts.labels.items() if not count]:
        named = ", ".join(map(repr, missing[:5])) + (", …" if len(missing) > 5 else "")
        rows = counted(len(missing), "label has", "labels have")
        found.append(f"{rows} no row to train on: {named}")
    name, most = max(facts.labels.items(), key=lambda item: item[1])
    if most > MOST_OF_ONE_LABEL * total:
        found.append(
            f"{most / total:.1%} of the rows to train on are {name!r}: a model that always says so scores "
            "as high; look at macro_f1 or matthews_correlation"
        )
    return found


def _percentile(ordered: Sequence[int], percent: int) -> int:
    """The smallest number that so many percent of the others do not exceed."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0


def _labels(task: Task, examples: Sequence[Example]) -> dict[str, int]:
    if task.kind != "classification" or not task.labels:
        return {}
    counts = Counter(int(example.label) for example in examples)
    return {name: counts[number] for number, name in enumerate(task.labels)}


def _cut(form: TaskForm, examples: Sequence[Example], encoded: Encoded) -> Cut | None:
    """How much the rows that are too long lose, found by encoding all without a limit."""
    # Forms are frozen dataclasses; the protocol does not say so.
    whole = dataclasses.replace(form, max_length=_UNLIMITED).encode(examples)  # type: ignore[type-var]
    pairs = zip(map(row_length, whole.rows), map(row_length, encoded.rows), strict=True)
    lost = sorted(before - after for before, after in pairs if before > after)
    if not lost:
        return None
    longest = max(map(row_length, whole.rows))
    return Cut(encoded.shortened, lost[-1], lost[len(lost) // 2], longest)
