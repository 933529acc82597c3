"""Metrics as objectives: what a batch scores at the present parameters (MeZO, Section 3.3).

A metric has no gradient, but its differences along random directions are as good as those of a loss. May
import evaluation and tasks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from loretta_cli.evaluation.metrics import SCORERS, Metric
from loretta_cli.tasks import Example
from loretta_cli.tasks.forms import Row, TaskForm


@dataclass(frozen=True, slots=True)
class BatchScorer:
    """Scores batches as an evaluation scores a split: options are chosen, answers are written.

    Args:
        form: How the model meets the task.
        metric: From rows and predictions to a score, the higher the better.
        rows: All training rows.
        examples: What the rows were made from, in the same order.
    """

    form: TaskForm
    metric: Metric
    rows: Sequence[Row]
    examples: Sequence[Example]

    def __call__(self, model: nn.Module, numbers: Sequence[int]) -> float:
        """The score of the rows with these numbers; NaN if the model's outputs are not finite.

        Args:
            model: In evaluation mode.
            numbers: Of the rows of a batch.
        """
        predictions = self.form.predict(model, [self.rows[number] for number in numbers])
        if not all(math.isfinite(prediction.loss) for prediction in predictions):
            return math.nan
        examples = [self.examples[number] for number in numbers]
        return self.metric(examples, [prediction.value for prediction in predictions])


def batch_scorer(
    objective: str, form: TaskForm, rows: Sequence[Row], examples: Sequence[Example]
) -> BatchScorer | None:
    """What scores batches for ``training.objective``; None where the loss is the objective."""
    if objective == "loss":
        return None
    return BatchScorer(form, SCORERS[form.task.scorer][objective], rows, examples)
