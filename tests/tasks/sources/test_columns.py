"""Finding the columns of labelled text and checking what they hold."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from loretta_cli.errors import DataError
from loretta_cli.tasks.sources import Columns, Row, check_rows, detect_columns

Make = Callable[..., tuple[Row, ...]]
PLAIN = Columns("text", None, "label", detected=False)


def detect(
    rows: tuple[Row, ...], text: str | None = None, text_pair: str | None = None, label: str | None = None
) -> Columns:
    return detect_columns(rows, text=text, text_pair=text_pair, label=label)


def detect_fault(rows: tuple[Row, ...], **given: str) -> DataError:
    with pytest.raises(DataError) as caught:
        detect(rows, **given)
    return caught.value


def row_fault(rows: tuple[Row, ...], columns: Columns = PLAIN) -> DataError:
    with pytest.raises(DataError) as caught:
        check_rows(rows, columns)
    return caught.value


def test_given_columns_are_taken_as_they_are(rows: Make) -> None:
    found = detect(rows({"a": "x", "b": "y", "c": 1}), text="a", text_pair="b", label="c")
    assert found == Columns("a", "b", "c", detected=False)


@pytest.mark.parametrize(
    "name", ["text", "sentence", "content", "message", "utterance", "review", "question", "prompt"]
)
@pytest.mark.parametrize("label", ["label", "labels", "intent", "class", "category", "target", "sentiment"])
def test_columns_are_found_by_name_among_others(rows: Make, name: str, label: str) -> None:
    found = detect(rows({"id": "7", label: "x", "zzz": "w", name: "words"}))
    assert found == Columns(name, None, label, detected=True)


def test_the_names_have_an_order(rows: Make) -> None:
    found = detect(rows({"prompt": "a", "sentence": "b", "sentiment": "c", "intent": "d"}))
    assert (found.text, found.label) == ("sentence", "intent")


def test_names_are_found_in_any_case_and_the_exact_one_first(rows: Make) -> None:
    assert detect(rows({"Text": "a", "LABEL": 1})) == Columns("Text", None, "LABEL", detected=True)
    assert detect(rows({"Text": "a", "text": "b", "label": 1})).text == "text"


def test_the_only_text_column_left_is_the_text(rows: Make) -> None:
    assert detect(rows({"idx": 3, "body": "words", "label": "x"})).text == "body"
    assert detect(rows({"body": "words", "second": "w", "label": 1}), text_pair="second").text == "body"


def test_a_text_column_is_known_by_its_first_value_that_is_not_missing(rows: Make) -> None:
    assert detect(rows({"body": None, "label": 1}, {"body": "words", "label": 0})).text == "body"


@pytest.mark.parametrize("name", ["coarse_label", "Topic_Label", "mylabel"])
def test_the_only_name_that_ends_in_label_is_the_label(rows: Make, name: str) -> None:
    assert detect(rows({"text": "a", name: 1, "label_text": "x"})).label == name


def test_a_text_pair_is_never_guessed(rows: Make) -> None:
    assert detect(rows({"sentence1": "a", "text": "b", "sentence2": "c", "label": 1})).text_pair is None


def test_a_column_given_for_one_role_is_not_taken_for_another(rows: Make) -> None:
    found = detect(rows({"text": "a", "message": "b", "label": "c", "intent": "d"}), label="text")
    assert found == Columns("message", None, "text", detected=True)
    found = detect(rows({"text": "a", "message": "b", "label": "c", "intent": "d"}), text="label")
    assert found.label == "intent"


def test_columns_given_in_part_count_as_detected(rows: Make) -> None:
    assert detect(rows({"text": "a", "label": 1}), text="text").detected


@pytest.mark.parametrize("role", ["text", "text_pair", "label"])
def test_a_given_column_that_is_missing_is_named_with_the_fix(rows: Make, role: str) -> None:
    error = detect_fault(rows({"id": 1, "Sentence": "a", "label": 1}), **{role: "sentense"})
    assert error.message == "train.jsonl has no column 'sentense'; its columns are id, Sentence, label."
    assert error.hint == f"Did you mean 'Sentence'? Use --set data.columns.{role}=Sentence."


def test_a_given_column_like_no_other_gets_no_guess(rows: Make) -> None:
    assert (
        detect_fault(rows({"text": "a", "label": 1}), text="xyz").hint == "Use --set data.columns.text=NAME."
    )


def test_one_column_cannot_have_two_roles(rows: Make) -> None:
    error = detect_fault(rows({"text": "a", "label": 1}), text="text", text_pair="text")
    assert "given twice, as data.columns.text and as data.columns.text_pair" in error.message


@pytest.mark.parametrize(
    ("values", "message", "role"),
    [
        ({"title": "a", "body": "b", "label": 1}, "the text column could be title, body", "text"),
        ({"x": 1, "label": 1}, "the text column cannot be told from the names", "text"),
        ({"text": "a", "x_label": 1, "y_label": 1}, "the label column could be x_label, y_label", "label"),
        ({"text": "a", "mood": 1}, "the label column cannot be told from the names", "label"),
        ({}, "it has no columns", "label"),
    ],
)
def test_what_cannot_be_found_is_asked_for(
    rows: Make, values: dict[str, object], message: str, role: str
) -> None:
    error = detect_fault(rows(values))
    assert message in error.message
    assert all(column in error.message for column in values)
    assert error.hint == f"Use --set data.columns.{role}=NAME."


def test_a_file_without_a_header_is_told_what_its_first_line_is_for() -> None:
    row = Row(
        {"I have waited for my card for more than two weeks now, says Ann": "a", "bad": "b"}, "a.csv", 2
    )
    error = detect_fault((row,))
    assert error.message.endswith(
        "its columns are I have waited for my card for more than two weeks now, …, bad."
    )
    assert error.hint.endswith("The first line of the file has to be a header, such as text,label.")


def test_no_rows_have_no_columns() -> None:
    assert "no rows" in detect_fault(()).message


@pytest.mark.parametrize("label", ["x", 3, -1, 0, True, False, 2.0])
def test_a_label_is_a_text_a_whole_number_or_a_bool(rows: Make, label: object) -> None:
    check_rows(rows({"text": "a", "label": label}), PLAIN)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"label": 1}, "column 'text': the value is missing"),
        ({"text": None, "label": 1}, "column 'text': the value is missing"),
        ({"text": float("nan"), "label": 1}, "column 'text': the value is missing"),
        ({"text": " \n", "label": 1}, "column 'text': the text is empty"),
        ({"text": 3, "label": 1}, "column 'text': expected text, found number"),
        ({"text": True, "label": 1}, "column 'text': expected text, found true/false"),
        ({"text": ["a"], "label": 1}, "column 'text': expected text, found list"),
        ({"text": {"a": 1}, "label": 1}, "column 'text': expected text, found object"),
        ({"text": b"a", "label": 1}, "column 'text': expected text, found bytes"),
        ({"text": "a"}, "column 'label': the value is missing"),
        ({"text": "a", "label": None}, "column 'label': the value is missing"),
        ({"text": "a", "label": float("nan")}, "column 'label': the value is missing"),
        ({"text": "a", "label": ""}, "column 'label': the label is empty"),
        (
            {"text": "a", "label": 0.5},
            "column 'label': expected text, a whole number or true/false, found a fraction (scores are for "
            "--task regression)",
        ),
        (
            {"text": "a", "label": float("inf")},
            "column 'label': expected text, a whole number or true/false, found a fraction (scores are for "
            "--task regression)",
        ),
        (
            {"text": "a", "label": [1]},
            "column 'label': expected text, a whole number or true/false, found list",
        ),
    ],
)
def test_a_bad_value_is_told_by_file_line_and_column(
    rows: Make, values: dict[str, object], message: str
) -> None:
    error = row_fault(rows({"text": "fine", "label": 1}, values))
    assert error.message == f"train.jsonl, line 2, {message} (1 row has this fault in all)."


def test_the_first_fault_is_told_with_the_number_of_rows_that_share_it(rows: Make) -> None:
    good = {"text": "a", "label": 1}
    no_label = {"text": "a", "label": None}
    error = row_fault(rows(good, no_label, {"text": "", "label": 1}, no_label, good, no_label))
    assert error.message == (
        "train.jsonl, line 2, column 'label': the value is missing (3 rows have this fault in all)."
    )
    assert "data.columns.label=" in error.hint


def test_a_text_pair_is_checked_where_there_is_one(rows: Make) -> None:
    pair = Columns("text", "second", "label", detected=False)
    check_rows(rows({"text": "a", "second": "b", "label": 1}), pair)
    error = row_fault(rows({"text": "a", "second": None, "label": 1}), pair)
    assert "column 'second': the value is missing" in error.message
    assert "data.columns.text_pair=" in error.hint
