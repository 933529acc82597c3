"""Lengths, cuts and labels of the rows, and what is warned of."""

from __future__ import annotations

import pytest

from loretta_cli.planning.data_facts import SplitFacts, facts_of, label_warnings
from loretta_cli.tasks import TASKS
from loretta_cli.tasks.forms import make_form
from tests.prompts import review, task_of
from tests.tiny_folders import decoder_tokenizer


def balance(**labels: int) -> SplitFacts:
    return SplitFacts("train", sum(labels.values()), {}, labels)


def test_a_label_without_a_row_is_warned_of() -> None:
    (warning,) = label_warnings(balance(good=5, bad=4, so_so=0))

    assert warning == "1 label has no row to train on: 'so_so'"


def test_a_label_that_nearly_all_rows_have_is_warned_of() -> None:
    (warning,) = label_warnings(balance(good=95, bad=5))

    assert "95.0% of the rows" in warning
    assert "'good'" in warning
    assert "macro_f1" in warning
    assert not label_warnings(balance(good=90, bad=10))
    assert not label_warnings(balance())


def test_rows_that_are_too_long_are_counted_with_what_they_lose() -> None:
    rows = [review("the day " * count, label=count % 2) for count in (1, 2, 3, 20, 30)]
    form = make_form("prompt", task_of("{} is", " good", " bad"), decoder_tokenizer(), 16)

    found = facts_of(form, "train", rows, form.encode(rows))

    assert found.rows == 5
    assert found.lengths["max"] <= 16
    assert found.lengths["50"] <= found.lengths["90"] <= found.lengths["99"] <= found.lengths["max"]
    assert found.cut is not None
    assert found.cut.rows == 2
    assert found.cut.most == found.cut.longest - found.lengths["max"]
    whole = make_form("prompt", form.task, form.tokenizer, found.cut.longest)
    assert whole.encode(rows).shortened == 0
    shorter = make_form("prompt", form.task, form.tokenizer, found.cut.longest - 1)
    assert shorter.encode(rows).shortened == 1


def test_labels_are_counted_by_name() -> None:
    task = TASKS.get("sst2")
    rows = [review("the day", label=label) for label in (0, 1, 1)]
    form = make_form("prompt", task, decoder_tokenizer(), 64)

    found = facts_of(form, "train", rows, form.encode(rows))

    assert found.labels == {task.labels[0]: 1, task.labels[1]: 2}
    assert found.cut is None
    assert found.as_json()["cut"] is None


@pytest.mark.parametrize(("percent", "length"), [("50", 5), ("90", 9), ("99", 10), ("max", 10)])
def test_a_percentile_is_a_length_that_a_row_has(percent: str, length: int) -> None:
    from loretta_cli.tasks.forms import Encoded

    form = make_form("prompt", task_of("{} is", " good", " bad"), decoder_tokenizer(), 64)
    rows = tuple({"input_ids": [0] * (count - 1), "options": [[1]]} for count in range(1, 11))

    assert facts_of(form, "train", (), Encoded(rows, 0)).lengths[percent] == length
