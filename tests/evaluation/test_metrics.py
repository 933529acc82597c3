"""Metrics, held against scikit-learn and scipy, and against values computed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from loretta_cli.evaluation.metrics import SCORERS, compute_metrics
from loretta_cli.tasks import TASKS, Example, Task

TRUTH = [0, 0, 0, 1, 1, 2]
PREDICTED = [0, 0, 1, 1, 0, 2]


def compute(
    names: Sequence[str], examples: Sequence[Example], values: Sequence[Any], like: str = "sst2"
) -> dict[str, float]:
    """Metrics by the scorer of a task."""
    task: Task = replace(TASKS.get(like), metrics=tuple(names))
    return compute_metrics(task, examples, values, 0.5)


def labelled(labels: Sequence[float]) -> list[Example]:
    return [Example({}, label) for label in labels]


def test_metrics_have_the_values_computed_by_hand() -> None:
    values = compute(("accuracy", "macro_f1"), labelled(TRUTH), PREDICTED)
    assert values["accuracy"] == pytest.approx(4 / 6)
    # F1 a class: 0: P 2/3, R 2/3; 1: P 1/2, R 1/2; 2: 1.
    assert values["macro_f1"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)


def test_metrics_of_two_labels_equal_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    truth = [int(label) for label in generator.integers(0, 2, 300)]
    predicted = [int(label) for label in generator.integers(0, 2, 300)]
    assert compute(("f1", "accuracy", "matthews_correlation"), labelled(truth), predicted) == pytest.approx(
        {
            "f1": f1_score(truth, predicted, pos_label=1),
            "accuracy": accuracy_score(truth, predicted),
            "matthews_correlation": matthews_corrcoef(truth, predicted),
        }
    )


def test_the_macro_f1_of_many_labels_equals_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(1)
    truth = [int(label) for label in generator.integers(0, 4, 200)]
    predicted = [int(label) for label in generator.integers(0, 4, 200)]
    assert compute(("macro_f1",), labelled(truth), predicted) == {
        "macro_f1": f1_score(truth, predicted, average="macro")
    }


def test_correlations_equal_those_of_scipy() -> None:
    generator = np.random.default_rng(2)
    truth = [round(float(score), 2) for score in generator.uniform(0, 5, 200)]
    predicted = [score + float(noise) for score, noise in zip(truth, generator.normal(size=200), strict=True)]
    found = compute(("spearman", "pearson"), labelled(truth), predicted)
    assert found["spearman"] == pytest.approx(spearmanr(truth, predicted).statistic)
    assert found["pearson"] == pytest.approx(pearsonr(truth, predicted).statistic)
    assert found["spearman"] != pytest.approx(found["pearson"])


@pytest.mark.parametrize(("truth", "predicted"), [([1.0, 2.0, 3.0], [2.0] * 3), ([2.0] * 3, [1.0, 2.0, 3.0])])
def test_the_correlation_with_a_constant_is_zero(truth: list[float], predicted: list[float]) -> None:
    found = compute(("spearman", "pearson"), labelled(truth), predicted)
    assert found == {"spearman": 0.0, "pearson": 0.0}


def test_a_label_that_is_never_predicted_counts_zero_without_a_warning() -> None:
    found = compute(("macro_f1", "f1", "matthews_correlation"), labelled([0, 1]), [0, 0])
    assert found == {"macro_f1": pytest.approx(1 / 3), "f1": 0.0, "matthews_correlation": 0.0}


def test_metrics_come_in_the_order_asked_for_as_plain_floats() -> None:
    values = compute(("macro_f1", "accuracy"), labelled(TRUTH), PREDICTED)
    assert list(values) == ["macro_f1", "accuracy"]
    assert {type(value) for value in values.values()} == {float}


def test_perplexity_is_the_exponential_of_the_loss() -> None:
    assert compute(("perplexity",), [], []) == {"perplexity": pytest.approx(np.exp(0.5))}


def test_a_question_of_multirc_matches_where_all_its_answers_do() -> None:
    rows = [("a", 1), ("b", 0), ("a", 0), ("b", 1), ("c", 0)]
    examples = [Example({}, label, group=group) for group, label in rows]
    # Of a both rows are right, of b one of two, and c is right. Label 1: 2 true, 3 said, 2 of them right.
    found = compute(("f1", "exact_match"), examples, [1, 1, 0, 1, 0], like="multirc")
    assert found["exact_match"] == pytest.approx(2 / 3)
    assert found["f1"] == pytest.approx(2 * (2 / 3) * 1 / (2 / 3 + 1))


def test_f1_of_multirc_is_over_all_answers_at_once() -> None:
    truth, predicted = [1, 0, 1, 1, 0], [1, 1, 0, 1, 0]
    examples = [Example({}, label, group=group) for label, group in zip(truth, "aabbb", strict=True)]
    found = compute(("f1",), examples, predicted, like="multirc")
    assert found["f1"] == pytest.approx(f1_score(truth, predicted))


def query(entities: tuple[str, ...], accepted: tuple[str, ...]) -> Example:
    return Example(
        {},
        options=tuple(f"{one} has won." for one in entities),
        names=entities,
        answers=tuple((one,) for one in accepted),
    )


@pytest.mark.parametrize(
    ("accepted", "chosen", "f1", "exact_match"),
    [
        (("Serena Williams",), "Serena Williams", 1.0, 1.0),
        (("Serena Williams",), "Williams", 2 / 3, 0.0),
        (("Serena Williams",), "Open", 0.0, 0.0),
        (("Serena Williams", "Williams"), "Williams", 1.0, 1.0),
        (("the Open",), "Open", 1.0, 1.0),
        (("U.S. Open",), "us open", 1.0, 1.0),
        (("open",), "French Open!", 2 / 3, 0.0),
    ],
)
def test_an_entity_of_record_is_scored_against_the_best_accepted_one(
    accepted: tuple[str, ...], chosen: str, f1: float, exact_match: float
) -> None:
    example = query(("Muguruza", chosen), accepted)
    found = compute(("f1", "exact_match"), [example], [1], like="record")
    assert found == {"f1": pytest.approx(f1), "exact_match": exact_match}


def test_the_metrics_of_record_are_means_over_the_queries() -> None:
    examples = [
        query(("Serena Williams", "Open"), ("Serena Williams",)),
        query(("Venus", "Open"), ("Venus",)),
    ]
    assert compute(("f1", "exact_match"), examples, [0, 1], like="record") == {"f1": 0.5, "exact_match": 0.5}


def test_every_task_has_metrics_of_its_scorer() -> None:
    for name in TASKS:
        task = TASKS.get(name)
        assert set(task.metrics) <= {*SCORERS[task.scorer], "perplexity"}, name
