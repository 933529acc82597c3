"""Reading the cells of a row: texts, lists, numbers, labels, and what is said of a bad cell."""

from __future__ import annotations

from typing import Any

import pytest

from loretta_cli.errors import DataError
from loretta_cli.tasks.cells import Cells, label_name
from loretta_cli.tasks.sources import Row

LABELS = ("low", "high", "none")
COLUMNS = ("text", "second", "level")


def cells(*, is_own: bool = False, **values: object) -> Cells:
    row = Row(values, "data/train.jsonl", 12)
    return Cells(row, "levels", COLUMNS, {"body": "text", "answer": "level"}, is_own=is_own)


def test_texts_are_read_as_they_stand_by_the_names_of_the_task() -> None:
    assert cells(idx=7, text=" a ", second="b").texts("text", "second") == {"text": " a ", "second": "b"}


@pytest.mark.parametrize(
    ("cell", "number"),
    [("low", 0), (" none ", 2), (0, 0), (2, 2), (1.0, 1), ("2", 2), (" 1 ", 1), (False, 0), (True, 1)],
)
def test_a_label_is_a_name_or_a_number_of_any_type(cell: object, number: int) -> None:
    label = cells(level=cell).label("level", LABELS)
    assert label == number
    assert type(label) is int


@pytest.mark.parametrize(
    "cell", [3, -1, "-1", "3", 0.5, float("nan"), "maybe", "", "LOW", None, [1], "1.0", "²"]
)
def test_a_label_that_is_neither_is_refused_with_those_there_are(cell: object) -> None:
    with pytest.raises(DataError) as caught:
        cells(level=cell).label("level", LABELS)
    assert caught.value.message == (
        f"data/train.jsonl, line 12, column 'level': found the label {cell!r}, expected one of 0 (low), "
        "1 (high), 2 (none)."
    )


def test_a_name_that_is_a_number_wins_over_the_number_of_a_label() -> None:
    assert [cells(level=cell).label("level", ("1", "0", "2")) for cell in (1, "0", 2.0)] == [0, 1, 2]


@pytest.mark.parametrize(("cell", "number"), [(1, 0), ("2", 1), (2.0, 1), ("high", 2)])
def test_a_label_by_name_reads_a_number_as_a_name(cell: object, number: int) -> None:
    assert cells(level=cell).label("level", ("1", "2", "high"), by_name=True) == number


@pytest.mark.parametrize("cell", [0, "0", 3, False, "low"])
def test_a_label_by_name_refuses_other_names_and_says_how_to_give_them(cell: object) -> None:
    with pytest.raises(DataError) as caught:
        cells(level=cell).label("level", ("1", "2", "high"), by_name=True)
    assert f"found the label {label_name(cell)!r}, expected one of 1, 2, high" in caught.value.message
    assert "data.labels" in caught.value.hint


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        (None, "the text is null"),
        (5, "expected a text, found 5"),
        (["a"], "expected a text, found ['a']"),
    ],
)
@pytest.mark.parametrize("is_own", [False, True])
def test_a_text_that_is_none_is_refused(cell: object, problem: str, is_own: bool) -> None:
    with pytest.raises(DataError) as caught:
        cells(is_own=is_own, second=cell).text("second")
    assert f"data/train.jsonl, line 12, column 'second': {problem}" in caught.value.message


@pytest.mark.parametrize("cell", ["", " \n\t"])
def test_an_empty_text_is_read_as_it_is_published_and_refused_in_the_users_own_data(cell: str) -> None:
    assert cells(second=cell).text("second") == cell
    with pytest.raises(DataError, match="column 'second': the text is empty"):
        cells(is_own=True, second=cell).text("second")


@pytest.mark.parametrize(("cell", "text"), [("", ""), (" a ", " a "), (5, "5"), (0.5, "0.5")])
def test_what_a_template_reads_may_be_empty_or_a_number(cell: object, text: str) -> None:
    assert cells(second=cell).written("second") == text


@pytest.mark.parametrize("cell", [None, True, ["a"], {"a": 1}])
def test_what_a_template_reads_is_no_null_and_no_list(cell: object) -> None:
    with pytest.raises(DataError, match=r"line 12, column 'second': expected a text or a number, found"):
        cells(second=cell).written("second")


@pytest.mark.parametrize(
    ("cell", "name", "found"),
    [
        (["a", "b"], None, ("a", "b")),
        ([], None, ()),
        (("a",), None, ("a",)),
        ({"text": ["a"]}, "text", ("a",)),
    ],
)
def test_a_list_of_texts_is_read_from_a_cell_or_an_object_in_it(
    cell: object, name: str | None, found: tuple[str, ...]
) -> None:
    assert cells(second=cell).text_list("second", name) == found


@pytest.mark.parametrize(
    ("cell", "name"),
    [("abc", None), (["a", " "], None), ([1], None), (None, None), (["a"], "text"), ({}, "text")],
)
def test_what_is_no_list_of_texts_is_refused(cell: object, name: str | None) -> None:
    with pytest.raises(DataError, match="column 'second': expected"):
        cells(second=cell).text_list("second", name)


@pytest.mark.parametrize(("cell", "score"), [(1, 1.0), ("2.5", 2.5), (0.0, 0.0), (" 3 ", 3.0)])
def test_a_score_is_a_number_or_the_text_of_one(cell: object, score: float) -> None:
    assert cells(level=cell).score("level") == score


@pytest.mark.parametrize("cell", ["good", "", None, "nan", float("inf"), [1], 5.5, -0.1])
def test_a_score_outside_its_limits_or_no_number_is_refused(cell: object) -> None:
    with pytest.raises(DataError, match="expected a number from 0 to 5"):
        cells(level=cell).score("level", low=0, high=5)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_refused_with_those_found_and_those_read(column: str) -> None:
    values: dict[str, Any] = {"idx": 0, "text": "a", "second": "b", "level": 0}
    del values[column]
    with pytest.raises(DataError) as caught:
        cells(**values).value(column)
    assert f"column {column!r}: the column is missing; found {', '.join(values)}." in caught.value.message
    assert "The task levels reads the columns text, second, level." in caught.value.hint
    assert "--task classification" in caught.value.hint


def test_a_missing_column_of_the_users_own_task_leads_to_no_other_task() -> None:
    with pytest.raises(DataError) as caught:
        cells(is_own=True, text="a").value("level")
    assert "--task" not in caught.value.hint


def test_other_column_names_are_read_too() -> None:
    found = cells(body="a", answer="none")
    assert (found.text("text"), found.label("level", LABELS)) == ("a", 2)


def test_a_column_of_the_tasks_own_name_wins_over_another_name_wherever_it_stands() -> None:
    for values in ({"level": 1, "answer": "none"}, {"answer": "none", "level": 1}):
        assert cells(**values).label("level", LABELS) == 1


def test_a_fault_names_the_column_as_the_file_does() -> None:
    with pytest.raises(DataError, match="column 'body': the text is empty"):
        cells(is_own=True, body="").text("text")
    with pytest.raises(DataError, match="column 'answer': found the label 9"):
        cells(answer=9).label("level", LABELS)


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
