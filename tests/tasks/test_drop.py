"""DROP: rows as they are published, with several spans and with several references."""

from __future__ import annotations

from typing import Any

import pytest

from loretta_cli.errors import DataError
from loretta_cli.tasks import TASKS
from loretta_cli.tasks.sources import Row

DROP = TASKS.get("drop")
VALUES: dict[str, Any] = {
    "section_id": "s",
    "query_id": "q",
    "passage": "Bears 3, Packers 1.",
    "question": "Who played?",
    "answers_spans": {"spans": ["Bears", "Packers"], "types": ["span", "span"]},
}


def row(**changes: Any) -> Row:
    return Row({**VALUES, **changes}, "train.jsonl", 7)


def test_the_spans_of_a_row_are_accepted_together_and_each_alone() -> None:
    assert DROP.example(row()).answers == (("Bears", "Packers"), ("Bears",), ("Packers",))


def test_an_answer_of_every_annotator_is_accepted_once() -> None:
    spans = {"spans": ["66.6", "33.4", "66.6"], "types": ["number"] * 3}

    assert DROP.example(row(answers_spans=spans)).answers == (("66.6", "33.4"), ("66.6",), ("33.4",))


def test_beside_references_the_spans_are_one_answer() -> None:
    assert DROP.example(row(references=["Lions"])).answers == (("Bears", "Packers"), ("Lions",))


def test_references_are_accepted_too() -> None:
    spans = {"spans": ["66.6"], "types": ["number"]}

    assert DROP.example(row(answers_spans=spans, references=["66.6", "33.4"])).answers == (
        ("66.6",),
        ("33.4",),
    )


def test_the_prompt_ends_with_the_question_and_the_answer_has_every_span() -> None:
    assert DROP.generation is not None
    example = DROP.example(row())

    assert DROP.generation.render(example.texts) == (
        "Passage: Bears 3, Packers 1.\nQuestion: Who played?\nAnswer:"
    )
    assert DROP.generation.answer(example.answers[0]) == " Bears; Packers"


def test_a_row_without_an_answer_is_refused() -> None:
    with pytest.raises(DataError, match=r"line 7, column 'answers_spans': there is no answer"):
        DROP.example(row(answers_spans={"spans": [], "types": []}))
