"""Rows without an answer: what a run needs of them, and that an answer that is there changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loretta_cli.config import DataSettings, TaskSettings, load_config
from loretta_cli.errors import ConfigError, DataError
from loretta_cli.tasks import TASKS, Task
from loretta_cli.tasks.own.chat import MESSAGES
from loretta_cli.tasks.preparation import task_of_rows
from loretta_cli.tasks.sources import Row
from loretta_cli.tasks.unanswered import check_columns, task_to_ask
from tests.task_cases import CASES

SQUAD = {"title": "Ann", "context": "Ann met Bob.", "question": "Who met Bob?"}
DROP = {"passage": "Ann met Bob twice.", "question": "How often?"}
WRITTEN: dict[str, tuple[dict[str, Any], str, Any]] = {
    "squad": (SQUAD, "answers", {"text": ["Ann"], "answer_start": [0]}),
    "squad_v2": (SQUAD, "answers", {"text": [], "answer_start": []}),
    "drop": (DROP, "answers_spans", {"spans": ["twice"], "types": ["span"]}),
}
ANSWERS = {"trec": "coarse_label", "record": "answers"}


def settings(*given: str) -> tuple[TaskSettings, DataSettings]:
    """The sections of a run's config."""
    config = load_config(None, {}, given).config
    return config.task, config.data


def asked(name: str, *given: str, form: str = "prompt", **options: Any) -> Task:
    return task_to_ask(*settings(f"task.name={name}", f"task.form={form}", *given), **options)


def row(values: dict[str, Any]) -> Row:
    return Row(values, "a.jsonl", 1)


@pytest.mark.parametrize("name", CASES)
def test_a_row_is_read_without_its_answer_and_with_any(name: str) -> None:
    whole, answer = CASES[name].row, ANSWERS.get(name, "label")
    task, expected = asked(name), TASKS.get(name).example(row(whole))
    without = {column: cell for column, cell in whole.items() if column != answer}
    assert answer not in task.columns
    assert set(task.columns) < set(TASKS.get(name).columns)

    for values in (without, whole, {**without, answer: -1}, {**without, answer: None}):
        found = task.example(row(values))
        assert (found.texts, found.options, found.names) == (expected.texts, expected.options, expected.names)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_question_is_read_without_its_answer_and_with_it(name: str) -> None:
    values, column, answer = WRITTEN[name]
    task = asked(name, form="generation")
    assert column not in task.columns

    found = task.example(row(values))
    answered = task.example(row({**values, column: answer}))

    assert found.texts == answered.texts
    assert answered == TASKS.get(name).example(row({**values, column: answer}))


def test_a_question_needs_no_title() -> None:
    values = {column: cell for column, cell in SQUAD.items() if column != "title"}
    task = asked("squad", form="generation")

    assert task.columns == ("context", "question")
    assert task.example(row(values)).texts["title"] == ""


OWN = {
    "classification": (
        ("data.columns.text=body", "data.columns.label=mood", "data.labels=[sad, glad]"),
        {"body": "the sun"},
        {"mood": "glad"},
    ),
    "a pair": (
        ("data.columns.text=a", "data.columns.text_pair=b", "data.columns.label=c", "data.labels=['0', '1']"),
        {"a": "the sun", "b": "the sky"},
        {"c": "1"},
    ),
    "regression": (
        ("data.columns.text=body", "data.columns.label=stars"),
        {"body": "the sun"},
        {"stars": "4.5"},
    ),
    "multiple-choice": (
        ("data.columns.text=ask", "data.columns.options=[a, b]", "data.columns.label=right"),
        {"ask": "the sun", "a": "red", "b": "blue"},
        {"right": "B"},
    ),
    "generation": (
        ("data.columns.prompt=instruction", "data.columns.completion=output"),
        {"instruction": "say no"},
        {"output": "no"},
    ),
}


@pytest.mark.parametrize("name", OWN)
def test_a_task_of_ones_own_is_made_from_the_config_alone(name: str) -> None:
    given, values, answer = OWN[name]
    form = "generation" if name == "generation" else "classification"
    own = "classification" if name == "a pair" else name
    task = asked(own, *given, form=form)
    sections = settings(f"task.name={own}", f"task.form={form}", *given)
    of_rows, _ = task_of_rows(*sections, [row({**values, **answer}), row({**values, **answer})])

    assert task.columns == tuple(values)
    assert task.labels == of_rows.labels
    assert task.roles == of_rows.roles
    expected = of_rows.example(row({**values, **answer}))
    for cells in (values, {**values, **answer}):
        found = task.example(row(cells))
        assert {name: text for name, text in found.texts.items() if text} == expected.texts
        assert found.options == expected.options


def test_a_label_that_no_training_row_had_is_not_read() -> None:
    given, values, _ = OWN["classification"]

    assert asked("classification", *given).example(row({**values, "mood": "furious"})).texts == values


def test_an_instruction_may_have_an_input() -> None:
    task = asked("generation", *OWN["generation"][0], form="generation")
    assert task.generation is not None
    texts = [
        task.generation.render(task.example(row({"instruction": "say", **more})).texts)
        for more in ({"input": "no"}, {"input": ""}, {})
    ]

    assert texts == ["say\nno\n", "say\n", "say\n"]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("what is it", ["what is it"]),
        ("[1] what", ["[1] what"]),
        ([{"role": "user", "content": "no"}], ["no"]),
        ([{"from": "human", "value": "no"}], ["no"]),
        (json.dumps([{"role": "user", "content": "no"}]), ["no"]),
        ([{"role": "user", "content": "no"}, {"role": "assistant", "content": "yes"}], ["no"]),
        (
            [
                {"role": "user", "content": "no"},
                {"role": "assistant", "content": "yes"},
                {"role": "user", "content": "why"},
            ],
            ["no", "yes", "why"],
        ),
    ],
)
def test_a_chat_is_a_text_or_messages_up_to_the_answer(cell: object, said: list[str]) -> None:
    task = asked("generation", "data.columns.messages=chat", form="generation")

    found = task.example(row({"chat": cell}))

    assert task.columns == ("chat",)
    assert [message["content"] for message in json.loads(found.texts[MESSAGES])] == said


def test_a_text_of_language_modelling_is_gone_on_with() -> None:
    task = asked("language-modeling", "data.columns.text=body", form="generation", max_new_tokens=7)

    assert task.columns == ("body",)
    assert task.writes
    assert task.generation is not None
    assert task.generation.max_new_tokens == 7
    assert task.generation.render(task.example(row({"body": "the sun \n"})).texts) == "the sun"


def test_a_template_reads_its_own_columns() -> None:
    given = ("data.columns.completion=said", "task.prompt='{who}: {what}'", "task.cut=what")
    task = asked("generation", *given, form="generation")
    assert task.generation is not None

    assert task.columns == ("who", "what")
    found = task.example(row({"who": "Ann", "what": "no"}))
    assert task.generation.render(found.texts) == "Ann: no"


def test_a_template_over_the_texts_of_a_task_adds_no_columns() -> None:
    task = asked("wic", "task.prompt='{word_in_sentence1} {sentence2}'", "task.cut=sentence2")
    assert task.prompt is not None

    assert task.columns == ("word", "sentence1", "sentence2")
    found = task.example(row(CASES["wic"].row))
    assert task.prompt.render(found.texts) == "bank: A river bank. A bank loan."


def test_a_template_that_was_broken_in_the_config_is_refused_in_words() -> None:
    task = asked("sst2", "task.prompt='{sentense}'", "task.cut=sentense")

    with pytest.raises(ConfigError, match="names the column 'sentense'") as caught:
        task.example(row({"sentence": "the sun"}))
    assert "Did you mean 'sentence'?" in caught.value.hint


def test_a_longer_text_is_for_runs_that_write() -> None:
    assert asked("squad", form="generation", max_new_tokens=9).generation.max_new_tokens == 9  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="the form of this one is classification"):
        asked("sst2", form="classification", max_new_tokens=9)


def test_a_missing_column_is_named_with_those_that_are_needed() -> None:
    task = asked("boolq")
    check_columns(task, row({"question": "is it", "passage": "It is."}))

    with pytest.raises(DataError, match="line 1: the column 'passage' is missing; found question") as caught:
        check_columns(task, row({"question": "is it"}))
    assert "reads question, passage" in caught.value.hint
    assert "--column passage=NAME" in caught.value.hint
