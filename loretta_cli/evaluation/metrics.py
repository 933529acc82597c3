"""Metrics by name, through scikit-learn. Imports it inside functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]


def _accuracy(truth: Labels, predicted: Labels) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(truth, predicted))


def _macro_f1(truth: Labels, predicted: Labels) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(truth, predicted, average="macro", zero_division=0.0))


_METRICS: dict[str, Callable[[Labels, Labels], float]] = {"accuracy": _accuracy, "macro_f1": _macro_f1}


def compute_metrics(names: Sequence[str], scores: NDArray[np.float32], truth: Labels) -> dict[str, float]:
    """The named metrics of predictions, in the order of the names.

    Args:
        names: ``accuracy``, ``macro_f1``.
        scores: ``(rows, labels)``; the largest is the prediction.
        truth: ``(rows,)`` label numbers.
    """
    predicted = scores.argmax(axis=-1)
    return {name: _METRICS[name](truth, predicted) for name in names}
