"""What a run says of one row, by name: a label, a score, an option or a text. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loretta_cli.tasks import Example, Task


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run says of one row.

    Args:
        value: The name of a label, a score, the text of an option, or what was written.
        names: The labels, or the row's own options.
        probabilities: Of each of these: the softmax of the scores that the run chooses by. They compare the
            labels with each other; how often such an answer is right they do not say.
        option: Of the row's own options, the number of the chosen one, from 0.
    """

    value: str | float
    names: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    option: int | None = None

    @property
    def probability(self) -> float | None:
        """Of what was chosen; None of scores and texts."""
        return max(self.probabilities, default=None)

    @property
    def ranking(self) -> list[tuple[str, float]]:
        """The labels or options with their probabilities, the likeliest first."""
        return sorted(zip(self.names, self.probabilities, strict=True), key=lambda pair: -pair[1])

    def as_json(self) -> dict[str, Any]:
        """``prediction`` and, of labels and options, ``probability`` and ``probabilities``.

        These are by name of labels, and a list of options, which also have the number of the chosen one.
        """
        if not self.probabilities:
            return {"prediction": self.value}
        if self.option is None:
            of_each: object = dict(zip(self.names, self.probabilities, strict=True))
            return {"prediction": self.value, "probability": self.probability, "probabilities": of_each}
        return {
            "prediction": self.value,
            "option": self.option,
            "probability": self.probability,
            "probabilities": list(self.probabilities),
        }

    def as_cells(self) -> dict[str, object]:
        """The same for a table of one value a cell: ``probability_LABEL`` is that of a label."""
        cells = self.as_json()
        of_each = cells.pop("probabilities", None)
        if isinstance(of_each, Mapping):
            cells |= {f"probability_{name}": value for name, value in of_each.items()}
        return cells


def make_answer(task: Task, example: Example, value: float | str, scores: Sequence[float]) -> Answer:
    """The answer that a prediction stands for.

    Args:
        task: The task.
        example: The row.
        value: The number of a label or an option, a score, or a text.
        scores: Of the labels or options; more than the row has options are left out.
    """
    if task.kind == "classification":
        return Answer(task.labels[int(value)], task.labels, _softmax(scores))
    if task.kind == "choice":
        names = example.names or example.options
        return Answer(names[int(value)], names, _softmax(scores[: len(names)]), option=int(value))
    return Answer(value)


def names_of_answers(task: Task) -> tuple[str, ...]:
    """What the answers to a task add to the columns of their rows."""
    scored = ("probability", "probabilities") if task.kind in ("classification", "choice") else ()
    chosen = ("option",) if task.kind == "choice" else ()
    of_labels = (f"probability_{label}" for label in task.labels)
    return ("prediction", *scored, *chosen, *of_labels, "schema_version")


def _softmax(scores: Sequence[float]) -> tuple[float, ...]:
    highest = max(scores)
    weights = [math.exp(score - highest) for score in scores]
    total = sum(weights)
    return tuple(weight / total for weight in weights)
