"""SQuAD 1.1 and 2.0: rows as they are published, prompts, questions without an answer."""

from __future__ import annotations

from typing import Any

import pytest

from loretta_cli.errors import DataError
from loretta_cli.tasks import TASKS
from loretta_cli.tasks.sources import Row

SQUAD, SQUAD_V2 = TASKS.get("squad"), TASKS.get("squad_v2")
VALUES: dict[str, Any] = {
    "id": "1",
    "title": "Force",
    "context": "W bosons cause beta decay. ",
    "question": " What do W bosons cause?",
    "answers": {"text": ["beta decay", "decay", "beta decay"], "answer_start": [15, 20, 15]},
}
NONE = {"text": [], "answer_start": []}


def row(**changes: Any) -> Row:
    return Row({**VALUES, **changes}, "train.jsonl", 7)


def test_a_row_has_each_accepted_answer_once() -> None:
    assert SQUAD.example(row()).answers == (("beta decay",), ("decay",))


def test_the_prompt_has_title_context_and_question() -> None:
    assert SQUAD.generation is not None
    prompt = SQUAD.generation.render(SQUAD.example(row()).texts)

    assert prompt == (
        "Title: Force\nContext: W bosons cause beta decay.\nQuestion: What do W bosons cause?\nAnswer:"
    )
    assert SQUAD.generation.answer(("beta decay",)) == " beta decay"


@pytest.mark.parametrize("title", ["", None, " "])
def test_a_row_without_a_title_has_no_title_line(title: str | None) -> None:
    assert SQUAD.generation is not None

    assert SQUAD.generation.render(SQUAD.example(row(title=title)).texts).startswith("Context: W bosons")


def test_squad_wants_an_answer_and_names_the_task_that_does_not() -> None:
    with pytest.raises(
        DataError, match=r"train\.jsonl, line 7, column 'answers': there is no answer"
    ) as caught:
        SQUAD.example(row(answers=NONE))
    assert "squad_v2" in caught.value.hint


def test_a_question_without_an_answer_is_said_to_be_unanswerable() -> None:
    assert SQUAD_V2.generation is not None
    example = SQUAD_V2.example(row(answers=NONE))

    assert example.answers == ((),)
    assert SQUAD_V2.generation.answer(example.answers[0]) == " unanswerable"
    assert SQUAD_V2.generation.answer(("beta decay",)) == " beta decay"


@pytest.mark.parametrize("answers", ["beta decay", {"text": "beta decay"}, {"text": [""]}, {}, None])
def test_answers_of_another_shape_are_refused(answers: object) -> None:
    with pytest.raises(
        DataError, match=r"column 'answers': expected an object with a list of texts in 'text'"
    ):
        SQUAD_V2.example(row(answers=answers))
