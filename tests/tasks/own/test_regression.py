"""Texts with a number: which numbers, and the options of a prompt."""

from __future__ import annotations

import pytest

from loretta_cli.errors import ConfigError, DataError

ROWS = [{"text": "bad", "score": "1"}, {"text": "fine", "score": 2.5}]
STARS = ["1", "2", "3", "4", "5"]


def test_a_score_is_a_number_or_the_text_of_one(make) -> None:
    made = make("regression", ROWS)
    assert [example.label for example in made.examples] == [1.0, 2.5]
    assert made.task.roles == {"text": "text", "text_pair": None, "label": "score"}
    assert made.task.metrics == ("spearman", "pearson")
    assert made.task.forms == ("classification",)


@pytest.mark.parametrize("cell", ["good", "", None, "nan", float("inf"), [1]])
def test_a_score_that_is_no_number_is_refused_with_its_place(make, cell: object) -> None:
    with pytest.raises(DataError, match=r"mine\.jsonl, line 3, column 'score': found the score"):
        make("regression", [*ROWS, {"text": "a", "score": cell}])


def test_options_make_a_prompt_whose_values_are_their_numbers(make) -> None:
    task = make("regression", ROWS, options=STARS).task
    assert task.forms == ("classification", "prompt", "masked")
    assert task.values == (1.0, 2.0, 3.0, 4.0, 5.0)
    assert task.prompt.options == (" 1", " 2", " 3", " 4", " 5")
    assert task.prompt.render({"text": " bad "}) == "bad\nScore:"
    other = make("regression", ROWS, options=STARS, prompt="{text}\nStars:\n").task
    assert other.prompt.options == tuple(STARS)


@pytest.mark.parametrize("options", [["1", "two"], ["2", "1"], ["1", "1.0"], ["1", "inf"]])
def test_options_that_are_no_rising_numbers_are_refused(make, options: list[str]) -> None:
    with pytest.raises(ConfigError, match=f"rising numbers, found '{options[1]}'"):
        make("regression", ROWS, options=options)


def test_a_score_outside_the_options_is_refused(make) -> None:
    with pytest.raises(DataError, match="found the score '1', expected a number from 2 to 3"):
        make("regression", ROWS, options=["2", "3"])


def test_a_prompt_without_options_is_refused(make) -> None:
    with pytest.raises(ConfigError, match=r"only with task\.options"):
        make("regression", ROWS, prompt="{text}")


def test_a_wrong_column_is_refused_with_those_there_are(make) -> None:
    with pytest.raises(DataError, match=r"no column 'stars'; its columns are text, score"):
        make("regression", ROWS, {"label": "stars"})
