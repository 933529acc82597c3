"""Metrics by name, in families: what ``f1`` means depends on the task. Each compares predictions with rows.

scikit-learn and scipy, imported inside functions, do the arithmetic of labels and scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from loretta_cli.evaluation.question_answering import (
    drop_exact_match,
    drop_f1,
    squad_exact_match,
    squad_f1,
    squad_v2_exact_match,
    squad_v2_f1,
)
from loretta_cli.tasks import Example, Task
from loretta_cli.tasks.base import LOWER_IS_BETTER

__all__ = ["LOWER_IS_BETTER", "SCORERS", "Metric", "Value", "compute_metrics"]

Value = int | float | str
Metric = Callable[[Sequence[Example], Sequence[Value]], float]


def _accuracy(examples: Sequence[Example], values: Sequence[Value]) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(_labels(examples), values))


def _macro_f1(examples: Sequence[Example], values: Sequence[Value]) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(_labels(examples), values, average="macro", zero_division=0.0))


def _f1(examples: Sequence[Example], values: Sequence[Value]) -> float:
    """F1 of label 1 (GLUE; MultiRC's F1 over all answers)."""
    from sklearn.metrics import f1_score

    return float(f1_score(_labels(examples), values, zero_division=0.0))


def _matthews_correlation(examples: Sequence[Example], values: Sequence[Value]) -> float:
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(_labels(examples), values))


def _pearson(examples: Sequence[Example], values: Sequence[Value]) -> float:
    from scipy.stats import pearsonr

    return _correlation(pearsonr, examples, values)


def _spearman(examples: Sequence[Example], values: Sequence[Value]) -> float:
    from scipy.stats import spearmanr

    return _correlation(spearmanr, examples, values)


def _correlation(
    correlate: Callable[..., Any], examples: Sequence[Example], values: Sequence[Value]
) -> float:
    """A correlation; 0 where all values, or all scores, are the same.

    GLUE's scorer says NaN there, which is neither JSON nor less than anything.
    """
    labels = _labels(examples)
    if len(set(labels)) < 2 or len(set(values)) < 2:
        return 0.0
    return float(correlate(labels, values).statistic)


def _whole_groups(examples: Sequence[Example], values: Sequence[Value]) -> float:
    """The share of groups whose rows all are predicted rightly (MultiRC's exact match of a question)."""
    right: dict[str, bool] = {}
    for example, value in zip(examples, values, strict=True):
        right[example.group] = right.get(example.group, True) and value == example.label
    return sum(right.values()) / len(right)


def _of_names(metric: Callable[[Sequence[Example], Sequence[Any]], float]) -> Metric:
    """A metric of texts for options, each of which stands for its name (ReCoRD)."""

    def of_names(examples: Sequence[Example], values: Sequence[Value]) -> float:
        pairs = zip(examples, values, strict=True)
        return metric(examples, [example.names[int(value)] for example, value in pairs])

    return of_names


SCORERS: dict[str, dict[str, Metric]] = {
    "labels": {
        "accuracy": _accuracy,
        "f1": _f1,
        "macro_f1": _macro_f1,
        "matthews_correlation": _matthews_correlation,
        "pearson": _pearson,
        "spearman": _spearman,
    },
    "multirc": {"f1": _f1, "exact_match": _whole_groups},
    "record": {"f1": _of_names(squad_f1), "exact_match": _of_names(squad_exact_match)},
    "squad": {"f1": squad_f1, "exact_match": squad_exact_match},
    "squad_v2": {"f1": squad_v2_f1, "exact_match": squad_v2_exact_match},
    "drop": {"f1": drop_f1, "exact_match": drop_exact_match},
}
"""The families: ``Task.scorer`` to metric name to metric."""


def compute_metrics(
    task: Task, examples: Sequence[Example], values: Sequence[Value], loss: float
) -> dict[str, float]:
    """The metrics of a task, in its order.

    Args:
        task: Whose ``scorer`` names the family, and whose ``metrics`` are computed.
        examples: The rows.
        values: What was predicted for each: a label's or option's number, a score, or a text.
        loss: The mean loss, of which ``perplexity`` is the exponential.
    """
    return {
        name: math.exp(loss) if name == "perplexity" else SCORERS[task.scorer][name](examples, values)
        for name in task.metrics
    }


def _labels(examples: Sequence[Example]) -> list[int | float]:
    return [example.label for example in examples]
