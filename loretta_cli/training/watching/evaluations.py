"""Evaluations that say nothing: the same loss or score each time, or the same answer to every row."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from loretta_cli.evaluation.evaluate import Evaluation
from loretta_cli.evaluation.metrics import LOWER_IS_BETTER
from loretta_cli.numerals import counted
from loretta_cli.tasks import Task

IN_A_ROW = 3
"""Evaluations with the same loss, or with one answer, after which that is told."""
UNTOUCHED = 5
"""Evaluations since the first whose score is the same, after which that is told."""
FEWEST_ROWS = 20
"""Of fewer rows a score has too few values for its standing still to mean anything."""
FEWEST_STEPS = 50
EARLY = 0.25
"""Before so many steps, or this share of all, one answer to all rows, or a score that stands still, is
nothing unusual."""
BEST = 1.0


class EvaluationWatch:
    """Compares evaluations with those before; says each thing once.

    Args:
        task: What is evaluated.
        metric: Chooses the checkpoint.
        labels: Of the evaluated rows.
    """

    def __init__(self, task: Task, metric: str, labels: Sequence[int | float]) -> None:
        self.task = task
        self.metric = metric
        self.labels = Counter(labels)
        self._losses: list[float] = []
        self._scores: list[float] = []
        self._one_answer = 0
        self._told: set[str] = set()

    def add(self, step: int, found: Evaluation, *, steps: int) -> list[str]:
        """What there is to say behind an evaluation.

        Args:
            step: Optimizer steps done.
            found: By the evaluation.
            steps: Of the whole training.
        """
        answer, score = self._same_answer(step, found), self._same_score(step, found)
        is_early = step < max(FEWEST_STEPS, steps * EARLY)
        said = {
            "loss": self._same_loss(step, found.metrics),
            "answer": "" if is_early else answer,
            "score": "" if is_early or answer else score,
        }
        new = [text for name, text in said.items() if text and name not in self._told]
        self._told |= {name for name, text in said.items() if text}
        return new

    def went_back(self) -> None:
        """Hear that the parameters are what they were before: what is the same now says nothing."""
        self._losses.clear()
        self._scores.clear()

    def _same_loss(self, step: int, metrics: Mapping[str, float]) -> str:
        self._losses.append(metrics["loss"])
        last = self._losses[-IN_A_ROW:]
        if len(last) < IN_A_ROW or len(set(last)) > 1 or not math.isfinite(last[0]):
            return ""
        return (
            f"step {step}: the loss of the evaluated rows, {last[0]:.6g}, is the same to the last digit in "
            f"{IN_A_ROW} evaluations, so what was trained between does not reach them; a larger "
            "training.learning_rate, or another adapter.target_modules, may"
        )

    def _same_answer(self, step: int, found: Evaluation) -> str:
        share, answer = self._one(found)
        self._one_answer = self._one_answer + 1 if share is not None else 0
        if share is None or self._one_answer < IN_A_ROW:
            return ""
        return (
            f"step {step}: all {counted(len(found.predictions), 'evaluated row')} get the one answer "
            f"{answer}, in {IN_A_ROW} evaluations, and {share:.0%} of them have it: the score is that of a "
            "constant; train longer, or with another training.learning_rate, and look at the labels' shares "
            "and the texts, which --dry-run shows"
        )

    def _one(self, found: Evaluation) -> tuple[float | None, str]:
        """The share of rows that are right with the one answer that all get, and that answer."""
        values = [prediction.value for prediction in found.predictions]
        if self.task.kind != "classification" or len(set(values)) != 1 or len(values) < FEWEST_ROWS:
            return None, ""
        number = values[0]
        if len(self.labels) < 2 or not isinstance(number, int):
            return None, ""
        name = self.task.labels[number] if number < len(self.task.labels) else str(number)
        return self.labels[number] / len(values), repr(name)

    def _same_score(self, step: int, found: Evaluation) -> str:
        score = found.metrics.get(self.metric)
        if score is None or self.metric in LOWER_IS_BETTER:
            return ""
        self._scores.append(score)
        enough = len(self._scores) >= UNTOUCHED and len(found.predictions) >= FEWEST_ROWS
        if not enough or len(set(self._scores)) > 1 or score == BEST:
            return ""
        return (
            f"step {step}: {self.metric} has been {score:.4g} in each of the {len(self._scores)} evaluations "
            f"since the first, though the loss moves{_written(found, score)}: the training does not reach "
            "what is scored"
        )


def _written(found: Evaluation, score: float) -> str:
    """Of texts that are never right: the first two that were written."""
    texts: Sequence[str] = [one.value for one in found.predictions if isinstance(one.value, str)]
    if score or not texts:
        return ""
    some = ", ".join(repr(text[:40]) for text in texts[:2])
    return f" (what the model writes: {some}; see task.max_new_tokens)"
