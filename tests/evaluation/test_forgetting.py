"""The scores of all tasks after each stage, and what was lost."""

from __future__ import annotations

import json

import pytest

from loretta_cli.evaluation.forgetting import Forgetting, TaskCourse, majority_score
from loretta_cli.tasks import TASKS, Example

FORGETTING = Forgetting(
    ("1-sst2", "2-mrpc", "3-qnli"),
    (
        TaskCourse("sst2", "accuracy", 0, 0.5, (0.9, 0.95, 0.6)),
        TaskCourse("mrpc", "f1", 1, 0.8, (0.99, 0.7, 0.75)),
        TaskCourse("qnli", "accuracy", 2, 0.5, (0.4, None, 0.9)),
    ),
)


def test_forgetting_is_the_best_earlier_score_less_the_final_one() -> None:
    sst2, mrpc, qnli = FORGETTING.tasks

    assert sst2.forgetting == pytest.approx(0.95 - 0.6)
    assert mrpc.forgetting == pytest.approx(0.7 - 0.75), "what came before its own stage was not learned"
    assert qnli.forgetting is None
    assert FORGETTING.mean_forgetting == pytest.approx((0.35 - 0.05) / 2)
    assert FORGETTING.mean_final == pytest.approx((0.6 + 0.75 + 0.9) / 3)


def test_of_a_metric_that_is_better_when_lower_more_is_lost() -> None:
    course = TaskCourse("language-modeling", "perplexity", 0, None, (3.0, 5.0, 8.0))

    assert course.best_earlier == 3.0
    assert course.forgetting == 5.0


def test_the_table_has_a_mean_only_where_every_task_has_a_score() -> None:
    cells = {name: values for name, *values in FORGETTING.cells()}

    assert FORGETTING.columns == ("", "sst2 (accuracy)", "mrpc (f1)", "qnli (accuracy)", "mean")
    assert cells["after 2-mrpc"] == ["0.9500", "0.7000", "-", "-"]
    assert cells["after 3-qnli"] == ["0.6000", "0.7500", "0.9000", "0.7500"]
    assert cells["majority class"] == ["0.5000", "0.8000", "0.5000", "0.6000"]
    assert cells["forgetting"] == ["0.3500", "-0.0500", "-", "0.1500"]


def test_it_is_the_same_after_a_report() -> None:
    document = json.loads(json.dumps(FORGETTING.as_json()))

    assert Forgetting.from_json(document) == FORGETTING


@pytest.mark.parametrize(("task", "expected"), [("sst2", 0.75), ("mrpc", 0.75), ("cola", 0.0)])
def test_the_majority_class_is_scored_by_accuracy_where_there_is_one(task: str, expected: float) -> None:
    rows = [Example(texts={}, label=label) for label in (1, 0, 1, 1)]

    assert majority_score(TASKS.get(task), rows) == pytest.approx(expected)


def test_a_score_or_an_option_has_no_majority_class() -> None:
    assert majority_score(TASKS.get("stsb"), [Example(texts={}, label=2.5)]) is None
    assert majority_score(TASKS.get("copa"), [Example(texts={}, label=1, options=("a", "b"))]) is None
