"""What a task says of itself: its main metric, its forms, its outputs, its examples."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loretta_cli.errors import DataError
from loretta_cli.tasks.base import Example, Generation, MaskedPrompt, Prompt, Task
from loretta_cli.tasks.labelled import labelled_task
from loretta_cli.tasks.sources import Row

PROMPT = Prompt(render=lambda row: row["text"], options=(" low", " high", " none"), cut="text")
TASK = labelled_task(
    "levels",
    texts=("text", "second"),
    label="level",
    labels=("low", "high", "none"),
    prompt=PROMPT,
    metrics=("macro_f1", "accuracy"),
    other_names={"body": "text"},
)


def row(number: int = 12, **values: object) -> Row:
    return Row({"second": "b", **values}, "data/train.jsonl", number)


def test_a_row_becomes_its_text_columns_and_the_number_of_its_label() -> None:
    example = TASK.example(row(idx=7, body=" a ", level="high"))
    assert dict(example.texts) == {"text": " a ", "second": "b"}
    assert example.label == 1
    assert (example.options, example.answers, example.group) == ((), (), "")


def test_the_first_metric_is_the_main_one() -> None:
    assert TASK.main_metric == "macro_f1"


def test_the_forms_are_those_that_have_words() -> None:
    masked = MaskedPrompt(PROMPT.render, PROMPT.options, "text")
    generation = Generation(PROMPT.render, "text")
    assert TASK.forms == ("classification", "prompt")
    assert replace(TASK, masked=masked).forms == ("classification", "prompt", "masked")
    assert replace(TASK, head=(), prompt=None, generation=generation).forms == ("generation",)
    assert replace(TASK, head=(), prompt=None, kind="language-modeling").forms == ("generation",)


def test_a_head_has_an_output_a_label_or_one_for_a_score() -> None:
    assert TASK.outputs == ("low", "high", "none")
    assert replace(TASK, labels=()).outputs == ("score",)


def test_rows_that_a_task_leaves_out_are_not_read() -> None:
    task: Task = replace(TASK, leaves_out=lambda row: row.values["level"] == -1)
    rows = [row(1, text="a", level=-1), row(2, text="b", level=0)]
    assert task.examples(rows) == (Example({"text": "b", "second": "b"}, 0),)
    with pytest.raises(DataError, match=r"line 1, column 'level': found the label -1"):
        TASK.examples(rows)


def test_an_own_task_leads_to_no_other_one_where_a_column_is_missing() -> None:
    for roles, leads in (({}, True), ({"text": "text"}, False)):
        with pytest.raises(DataError) as caught:
            replace(TASK, roles=roles).example(row(text="a"))
        assert ("--task classification" in caught.value.hint) is leads
