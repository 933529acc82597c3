"""Scores of free answers, held against values worked out by hand from the published rules."""

from __future__ import annotations

import pytest

from loretta_cli.evaluation.question_answering import (
    drop_exact_match,
    drop_f1,
    exact_match,
    normalized,
    squad_exact_match,
    squad_f1,
    squad_v2_exact_match,
    squad_v2_f1,
    token_f1,
)
from loretta_cli.tasks import Example


def drop_scores(text: str, *answers: tuple[str, ...]) -> tuple[float, float]:
    example = Example({}, answers=answers)
    return drop_exact_match([example], [text]), drop_f1([example], [text])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Cat,\n sat!", "cat sat"),
        ("an apple a day", "apple day"),
        ("theatre", "theatre"),
        ("U.S.-born", "usborn"),
        ("the", ""),
    ],
)
def test_a_text_loses_case_punctuation_articles_and_extra_space(text: str, expected: str) -> None:
    assert normalized(text) == expected


@pytest.mark.parametrize(
    ("text", "references", "match", "f1"),
    [
        ("The Eiffel Tower.", ["eiffel tower"], 1.0, 1.0),
        # One of 2 words and one of 3 are shared: P 1/2, R 1/3.
        ("big tower", ["the old Eiffel Tower"], 0.0, 0.4),
        # The best reference counts: against the second, P 1, R 1/2.
        ("beta", ["gamma rays", "Beta decay"], 0.0, 2 / 3),
        # A word counts as often as it occurs in both: P 1/2, R 1.
        ("no no", ["no"], 0.0, 2 / 3),
        ("nothing alike", ["the answer"], 0.0, 0.0),
        ("", ["answer"], 0.0, 0.0),
        # Of these, normalisation leaves nothing, so they are compared as they are.
        ("A", ["A"], 1.0, 1.0),
        ("", ["A"], 0.0, 0.0),
        ("the", ["A"], 0.0, 0.0),
        ("-", ["+"], 0.0, 0.0),
        # That there is no answer is a word like any other.
        ("", ["unanswerable"], 0.0, 0.0),
    ],
)
def test_squad_scores_have_the_values_worked_out_by_hand(
    text: str, references: list[str], match: float, f1: float
) -> None:
    assert exact_match(text, references) == match
    assert token_f1(text, references) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("text", "answers", "score"),
    [
        ("unanswerable", ((),), 1.0),
        ("Unanswerable.", ((),), 1.0),
        ("", ((),), 1.0),
        ("1685", ((),), 0.0),
        ("unanswerable", (("1685",),), 0.0),
    ],
)
def test_to_say_that_there_is_no_answer_is_right_where_there_is_none(
    text: str, answers: tuple[tuple[str, ...], ...], score: float
) -> None:
    examples = [Example({}, answers=answers)]

    assert squad_v2_exact_match(examples, [text]) == score
    assert squad_v2_f1(examples, [text]) == score


def test_a_reference_of_articles_alone_counts_only_where_there_is_no_other() -> None:
    assert squad_v2_exact_match([Example({}, answers=(("The",), ("band",)))], [""]) == 0.0
    assert squad_v2_exact_match([Example({}, answers=(("The",),))], [""]) == 1.0


def test_squad_scores_are_means_of_the_rows() -> None:
    examples = [Example({}, answers=(("beta decay",), ("decay",))), Example({}, answers=(("1685",),))]

    assert squad_exact_match(examples, ["the decay", "in 1685"]) == 0.5
    assert squad_f1(examples, ["the decay", "in 1685"]) == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize(
    ("text", "spans", "match", "f1"),
    [
        ("3.0", ("3",), 1.0, 1.0),
        ("3,000", ("3000",), 1.0, 1.0),
        # A hyphen parts words, so no sign is left.
        ("-3", ("3",), 1.0, 1.0),
        # A wrong number counts nothing, whatever else agrees.
        ("4 yards", ("3 yards",), 0.0, 0.0),
        # The right one: P 1/2, R 1.
        ("3 yards", ("3",), 0.0, 0.67),
        ("The Bears", ("bears",), 1.0, 1.0),
        # A word counts once: P 1/2, R 1.
        ("Bears-Packers Bears", ("bears",), 0.0, 0.67),
        # Order does not count among spans.
        ("Packers; Bears", ("Bears", "Packers"), 1.0, 1.0),
        # One of two spans: 1 and 0 over the longer side.
        ("Bears", ("Bears", "Packers"), 0.0, 0.5),
        # No span stands behind the last separator.
        ("Bears; Packers;", ("Bears", "Packers"), 1.0, 1.0),
        ("; ;", ("Bears",), 0.0, 0.0),
        ("", ("Bears",), 0.0, 0.0),
        ("Bears; Lions; Packers", ("Packers", "Bears"), 0.0, 0.67),
        # The best alignment gives 1 to "tom brady" and 2/3 to "brady" against "james brady".
        ("brady; tom brady", ("tom brady", "james brady"), 0.0, 0.83),
        # As one span: P 1/2, R 1 with one of the two, and nothing for the other.
        ("Bears Packers", ("Bears", "Packers"), 0.0, 0.33),
        ("Bears; Bears", ("Bears",), 0.0, 0.5),
    ],
)
def test_drop_scores_have_the_values_worked_out_by_hand(
    text: str, spans: tuple[str, ...], match: float, f1: float
) -> None:
    assert drop_scores(text, spans) == (match, f1)


def test_the_best_reference_counts() -> None:
    assert drop_scores("33.4", ("66.6",), ("33.4",)) == (1.0, 1.0)


def test_drop_scores_are_means_of_the_rows() -> None:
    examples = [Example({}, answers=(("3",),)), Example({}, answers=(("Bears", "Packers"),))]

    assert drop_exact_match(examples, ["3", "Bears"]) == 0.5
    assert drop_f1(examples, ["3", "Bears"]) == 0.75
