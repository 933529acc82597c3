"""Questions with options of their own: where they stand, and which one is right."""

from __future__ import annotations

from typing import Any

import pytest

from loretta_cli.errors import DataError
from loretta_cli.tasks.forms.prompt import options_of


def listed(label: object, options: object = ("red", "blue", "old")) -> dict[str, Any]:
    return {
        "question": "what",
        "options": list(options) if isinstance(options, tuple) else options,
        "answer": label,
    }


def spread(*options: object, label: object = 0) -> dict[str, Any]:
    return {"text": "what", **dict(zip("abc", options, strict=True)), "label": label}


@pytest.mark.parametrize("label", [1, "1", 1.0, "B", "blue", " blue "])
def test_the_right_option_is_a_number_a_letter_or_a_text(make, label: object) -> None:
    (example,) = make("multiple-choice", [listed(label)]).examples
    assert example.label == 1
    assert example.options == ("red", "blue", "old")
    assert dict(example.texts) == {"question": "what"}


@pytest.mark.parametrize("label", [3, "3", -1, "D", "b", "green", "", None, True, 0.5])
def test_a_label_that_is_no_option_is_refused_with_what_there_is(make, label: object) -> None:
    with pytest.raises(DataError) as caught:
        make("multiple-choice", [listed(label)])
    assert caught.value.message.startswith("mine.jsonl, line 1, column 'answer': found ")
    assert (
        "the number (0 to 2), the letter (A to C) or the text of one of the 3 options" in caught.value.message
    )


def test_a_label_that_means_two_options_is_refused_and_one_that_means_one_is_not(make) -> None:
    with pytest.raises(DataError, match="the text of one option and the number or letter of another"):
        make("multiple-choice", [listed("2", ("2", "3", "4"))])
    (example,) = make("multiple-choice", [listed("1", ("0", "1", "2"))]).examples
    assert example.label == 1


def test_options_in_columns_may_be_fewer_in_some_rows(make) -> None:
    rows = [
        spread("x", "y", "z", label="z"),
        spread("x", "y", "", label="B"),
        spread("x", 5, None, label="5"),
    ]
    made = make("multiple-choice", rows, {"options": ["a", "b", "c"]})
    assert [example.options for example in made.examples] == [("x", "y", "z"), ("x", "y"), ("x", "5")]
    assert [example.label for example in made.examples] == [2, 1, 1]
    assert made.task.roles["options"] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("x", "", "z"), r"column 'b': the option 1 is empty"),
        (("x", "y", " x"), r"the option 'x' stands twice in this row"),
        (("x", "", ""), r"the row has 1 option, expected two or more"),
    ],
)
def test_bad_options_in_columns_are_refused(make, options: tuple[str, ...], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        make("multiple-choice", [spread(*options)], {"options": ["a", "b", "c"]})


@pytest.mark.parametrize("options", ["red, blue", 5, None, {"a": 1}, ["red", None], ["red"], ["red", "red"]])
def test_bad_lists_are_refused(make, options: object) -> None:
    with pytest.raises(DataError, match=r"line 1, column 'options': "):
        make("multiple-choice", [listed(0, options)])


def test_a_list_in_a_csv_file_is_written_as_json(make) -> None:
    (example,) = make("multiple-choice", [listed("A", '["red", 7]')]).examples
    assert example.options == ("red", "7")


def test_options_are_found_by_name_or_asked_for(make) -> None:
    with pytest.raises(DataError, match="options cannot be told from the names") as caught:
        make("multiple-choice", [spread("x", "y", "z")])
    assert "data.columns.options=[NAME" in caught.value.hint
    with pytest.raises(DataError, match="no column 'd'"):
        make("multiple-choice", [spread("x", "y", "z")], {"options": ["a", "d"]})
    with pytest.raises(DataError, match="given twice"):
        make("multiple-choice", [spread("x", "y", "z")], {"options": ["a", "a"]})


def test_it_has_a_head_that_reads_the_question_and_a_prompt(make) -> None:
    task = make("multiple-choice", [listed(0)], prompt="Q: {question}\nA:").task
    assert (task.kind, task.head, task.outputs) == ("choice", ("question",), ("score",))
    assert task.prompt.render({"question": "what"}) == "Q: what\nA:"
    assert task.prompt.options == ()


def test_the_question_is_cut_only_where_the_template_has_no_other_column(make) -> None:
    row = {**listed(0), "question": "what is it", "passage": "a hat"}
    for template, cut in (("{question}\n{passage}", "passage"), ("{question}", "question")):
        assert make("multiple-choice", [row], {"text": "question"}, prompt=template).task.prompt.cut == cut


@pytest.mark.parametrize(
    ("template", "space"), [("{question} A:", " "), ("{question} A: ", ""), ("{question}\nA:\n", "")]
)
def test_an_option_stands_behind_one_white_space(make, template: str, space: str) -> None:
    made = make("multiple-choice", [listed(0)], prompt=template)
    found = options_of(made.task.prompt, made.examples[0])
    assert found == tuple(f"{space}{option}" for option in ("red", "blue", "old"))
