"""Metrics, held against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from loretta_cli.evaluation.metrics import compute_metrics

TRUTH = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 1, 1, 0, 2])
SCORES = np.eye(3, dtype=np.float32)[PREDICTED]


def test_metrics_have_the_values_computed_by_hand() -> None:
    values = compute_metrics(("accuracy", "macro_f1"), SCORES, TRUTH)
    assert values["accuracy"] == pytest.approx(4 / 6)
    # F1 a class: 0: P 2/3, R 2/3; 1: P 1/2, R 1/2; 2: 1.
    assert values["macro_f1"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)


def test_metrics_equal_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(200, 4)).astype(np.float32)
    truth = generator.integers(0, 4, 200)
    predicted = scores.argmax(-1)
    assert compute_metrics(("accuracy", "macro_f1"), scores, truth) == {
        "accuracy": accuracy_score(truth, predicted),
        "macro_f1": f1_score(truth, predicted, average="macro"),
    }


def test_metrics_come_in_the_order_asked_for_as_plain_floats() -> None:
    values = compute_metrics(("macro_f1", "accuracy"), SCORES, TRUTH)
    assert list(values) == ["macro_f1", "accuracy"]
    assert {type(value) for value in values.values()} == {float}


def test_a_label_that_is_never_predicted_counts_zero_without_a_warning() -> None:
    scores = np.eye(2, dtype=np.float32)[[0, 0]]
    assert compute_metrics(("macro_f1",), scores, np.array([0, 1]))["macro_f1"] == pytest.approx(1 / 3)
