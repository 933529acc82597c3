"""Reading one row of a task: texts, label numbers and names, and what is said of a bad cell."""

from __future__ import annotations

from typing import Any

import pytest

from loretta_cli.errors import DataError
from loretta_cli.tasks.base import Prompt, Task
from loretta_cli.tasks.cells import label_name
from loretta_cli.tasks.labelled import labelled_task
from loretta_cli.tasks.sources import Row

LEVELS = ("low", "high", "none")


def levels(texts: tuple[str, ...] = ("text",), labels: tuple[str, ...] = LEVELS, **others: Any) -> Task:
    return labelled_task(
        "levels",
        texts=texts,
        label="level",
        labels=labels,
        prompt=Prompt(
            render=lambda row: row["text"], options=tuple(f" {label}" for label in labels), cut="text"
        ),
        metrics=("macro_f1", "accuracy"),
        other_names={"body": "text", "answer": "level"},
        **others,
    )


TASK = levels()
PAIR = levels(("text", "second"))
NAMES_ONLY = levels(labels=("1", "2", "high"), by_name=True)


def row(**values: object) -> Row:
    return Row(values, "data/train.jsonl", 12)


def fault(task: Task = TASK, **values: object) -> DataError:
    """The error for a row; it must name file and line."""
    with pytest.raises(DataError) as caught:
        task.example(row(**values))
    assert caught.value.message.startswith("data/train.jsonl, line 12, column ")
    return caught.value


def test_a_row_becomes_its_text_columns_and_the_number_of_its_label() -> None:
    example = PAIR.example(row(idx=7, text=" a ", second="b", level="high"))
    assert dict(example.texts) == {"text": " a ", "second": "b"}
    assert example.label == 1


def test_the_first_metric_is_the_main_one() -> None:
    assert TASK.main_metric == "macro_f1"


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("low", 0),
        (" none ", 2),
        (0, 0),
        (2, 2),
        (1.0, 1),
        ("2", 2),
        (" 1 ", 1),
        (False, 0),
        (True, 1),
    ],
)
def test_a_label_is_a_name_or_a_number_of_any_type(cell: object, number: int) -> None:
    label = TASK.example(row(text="a", level=cell)).label
    assert label == number
    assert type(label) is int


@pytest.mark.parametrize(
    "cell", [3, -1, "-1", "3", 0.5, float("nan"), "maybe", "", "LOW", None, [1], "1.0", "²"]
)
def test_a_label_that_is_neither_is_refused_with_those_there_are(cell: object) -> None:
    error = fault(text="a", level=cell)
    assert "column 'level'" in error.message
    assert f"found the label {cell!r}" in error.message
    assert "0 (low), 1 (high), 2 (none)" in error.message


def test_a_name_that_is_a_number_wins_over_the_number_of_a_label() -> None:
    task = levels(labels=("1", "0", "2"))
    assert [task.example(row(text="a", level=cell)).label for cell in (1, "0", 2.0)] == [0, 1, 2]


@pytest.mark.parametrize(("cell", "number"), [(1, 0), ("2", 1), (2.0, 1), ("high", 2)])
def test_a_task_of_names_reads_a_number_as_a_name(cell: object, number: int) -> None:
    assert NAMES_ONLY.example(row(text="a", level=cell)).label == number


@pytest.mark.parametrize("cell", [0, "0", 3, False, "low"])
def test_a_task_of_names_refuses_other_names_and_says_how_to_give_them(cell: object) -> None:
    error = fault(NAMES_ONLY, text="a", level=cell)
    assert f"found the label {label_name(cell)!r}, expected one of 1, 2, high" in error.message
    assert "data.labels" in error.hint


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        (None, "the text is null"),
        ("", "the text is empty"),
        (" \n\t", "the text is empty"),
        (5, "expected a text, found 5"),
        (["a"], "expected a text, found ['a']"),
    ],
)
@pytest.mark.parametrize("column", ["text", "second"])
def test_a_text_that_is_none_is_refused(column: str, cell: object, problem: str) -> None:
    error = fault(PAIR, **{"text": "a", "second": "b", "level": 0, column: cell})
    assert f"column {column!r}: {problem}" in error.message


@pytest.mark.parametrize("column", ["text", "second", "level"])
def test_a_missing_column_is_refused_with_those_found_and_those_read(column: str) -> None:
    values: dict[str, Any] = {"idx": 0, "text": "a", "second": "b", "level": 0}
    del values[column]
    error = fault(PAIR, **values)
    assert f"column {column!r}: the column is missing; found {', '.join(values)}." in error.message
    assert "The task levels reads the columns text, second, level" in error.hint
    assert "--task classification" in error.hint


def test_a_head_reads_the_columns_or_the_texts_made_of_them() -> None:
    assert PAIR.head == ("text", "second")
    made = {"both": lambda row: f"{row['text']}/{row['second']}"}
    task = levels(("text", "second"), made=made, head=("both",), group=lambda row: row["second"])
    example = task.example(row(text="a", second="b", level=0))
    assert dict(example.texts) == {"text": "a", "second": "b", "both": "a/b"}
    assert (task.head, example.group) == (("both",), "b")
    assert task.columns == ("text", "second", "level")


def test_the_rows_that_a_task_leaves_out_are_not_read() -> None:
    task = levels(leaves_out=lambda row: row.values["level"] == -1)
    found = task.examples([row(text="a", level=1), row(text=None, level=-1), row(text="b", level=0)])
    assert [example.label for example in found] == [1, 0]


def test_other_column_names_are_read_too() -> None:
    example = TASK.example(row(body="a", answer="none"))
    assert dict(example.texts) == {"text": "a"}
    assert example.label == 2


def test_a_column_of_the_tasks_own_name_wins_over_another_name_wherever_it_stands() -> None:
    for values in (
        {"text": "a", "level": 1, "answer": "yes"},
        {"answer": "yes", "level": 1, "text": "a"},
    ):
        assert TASK.example(row(**values)).label == 1


def test_a_fault_names_the_column_as_the_file_does() -> None:
    assert "column 'body': the text is empty" in fault(body="", answer=0).message
    assert "column 'answer': found the label 9" in fault(body="a", answer=9).message


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        (1, "1"),
        (1.0, "1"),
        ("1", "1"),
        (-2, "-2"),
        (True, "true"),
        (False, "false"),
        (" a b ", "a b"),
        ("1.0", "1.0"),
    ],
)
def test_a_cell_has_one_name_whatever_its_type(cell: object, name: str) -> None:
    assert label_name(cell) == name
