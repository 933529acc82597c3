"""What a prediction is called, in JSON and in the cells of a table."""

from __future__ import annotations

import math

import pytest

from loretta_cli.evaluation.answers import Answer, make_answer, names_of_answers
from loretta_cli.tasks import TASKS, Example

TEXTS = Example({"text": "x"})


def test_a_label_has_a_probability_by_the_softmax_of_all_scores() -> None:
    answer = make_answer(TASKS.get("sst2"), TEXTS, 1, (0.0, math.log(3)))

    assert answer.value == "positive"
    assert answer.probability == pytest.approx(0.75)
    assert answer.ranking == [("positive", pytest.approx(0.75)), ("negative", pytest.approx(0.25))]
    assert answer.as_json()["probabilities"] == {
        "negative": pytest.approx(0.25),
        "positive": pytest.approx(0.75),
    }
    assert answer.as_cells() == {
        "prediction": "positive",
        "probability": pytest.approx(0.75),
        "probability_negative": pytest.approx(0.25),
        "probability_positive": pytest.approx(0.75),
    }


def test_scores_of_any_size_have_probabilities() -> None:
    answer = make_answer(TASKS.get("sst2"), TEXTS, 0, (-1e6, -2e6))

    assert answer.probabilities == (1.0, 0.0)


def test_an_option_is_its_text_with_its_number_and_those_a_row_lacks_do_not_count() -> None:
    example = Example({"premise": "x"}, options=("it rained", "it snowed"))
    answer = make_answer(TASKS.get("copa"), example, 1, (-3.0, -3.0, -math.inf))

    assert answer.as_json() == {
        "prediction": "it snowed",
        "option": 1,
        "probability": 0.5,
        "probabilities": [0.5, 0.5],
    }
    assert answer.as_cells() == {"prediction": "it snowed", "option": 1, "probability": 0.5}


def test_an_option_that_stands_for_a_name_is_that_name() -> None:
    example = Example({}, options=("Ann sang", "Bob sang"), names=("Ann", "Bob"))

    assert make_answer(TASKS.get("record"), example, 0, (0.0, -1.0)).value == "Ann"


@pytest.mark.parametrize(("task", "value"), [("stsb", 3.25), ("squad", "in Rome")])
def test_scores_and_texts_have_no_probability(task: str, value: float | str) -> None:
    answer = make_answer(TASKS.get(task), TEXTS, value, ())

    assert answer == Answer(value)
    assert answer.probability is None
    assert answer.as_json() == answer.as_cells() == {"prediction": value}


@pytest.mark.parametrize("task", ["sst2", "copa", "stsb", "squad"])
def test_the_names_that_answers_add_are_known_before(task: str) -> None:
    example = Example({}, options=("a", "b"))
    scores = (0.0, 0.0) if task in ("sst2", "copa") else ()
    answer = make_answer(TASKS.get(task), example, 1, scores)

    assert {*answer.as_json(), *answer.as_cells(), "schema_version"} == set(names_of_answers(TASKS.get(task)))
