"""Holding two models against each other."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from peft import get_peft_model

from loretta_cli.artifacts.comparison import (
    RELATIVE_TOLERANCE,
    Comparison,
    adapter_effect,
    compare,
    row_logits,
)
from loretta_cli.tasks import TASKS, Example
from loretta_cli.tasks.forms import TaskForm, make_form
from loretta_cli.tuners import LorettaRepConfig
from tests.tiny_folders import decoder_tokenizer, encoder_tokenizer
from tests.tiny_models import tiny_model

EXAMPLES = [Example({"sentence": text}, 0) for text in ("a great film", "bad", "the film was very fun")]
FORMS = {
    "bert": make_form("classification", TASKS.get("sst2"), encoder_tokenizer(), 32),
    "llama": make_form("prompt", TASKS.get("sst2"), decoder_tokenizer(), 32),
}


def rows_of(form: TaskForm) -> tuple[dict[str, Any], ...]:
    return form.encode(EXAMPLES).rows


def logits(*values: float) -> list[torch.Tensor]:
    return [torch.tensor([[value, 0.0]]) for value in values]


@pytest.mark.parametrize("family", FORMS)
def test_logits_are_those_of_each_row_alone(family: str) -> None:
    form = FORMS[family]
    rows = rows_of(form)
    model = tiny_model(family, vocab_size=len(form.tokenizer)).train()
    found = row_logits(model, rows)
    assert not model.training
    for row, one in zip(rows, found, strict=True):
        with torch.no_grad():
            expected = model(input_ids=torch.tensor([row["input_ids"]])).logits
        torch.testing.assert_close(one, expected)
        assert one.dtype == torch.float32


def test_logits_of_half_precision_are_fp32() -> None:
    model = tiny_model("bert", vocab_size=152, dtype=torch.bfloat16)
    assert {one.dtype for one in row_logits(model, rows_of(FORMS["bert"]))} == {torch.float32}


def test_a_model_equals_its_copy_and_no_other() -> None:
    form = FORMS["bert"]
    model = tiny_model("bert", vocab_size=152)
    before = row_logits(model, rows_of(form))
    same = compare(before, row_logits(copy.deepcopy(model), rows_of(form)), torch.float32)
    assert same == Comparison(0.0, same.tolerance, 3)
    assert same.passed
    other = row_logits(tiny_model("bert", vocab_size=152, seed=1), rows_of(form))
    assert not compare(before, other, torch.float32).passed


@pytest.mark.parametrize("dtype", RELATIVE_TOLERANCE)
def test_the_tolerance_is_relative_to_the_largest_logit_but_at_least_to_one(dtype: torch.dtype) -> None:
    share = RELATIVE_TOLERANCE[dtype]
    assert compare(logits(0.1, -0.2), logits(0.1, -0.2), dtype).tolerance == pytest.approx(share)
    assert compare(logits(3.0, -50.0), logits(3.0, -50.0), dtype).tolerance == pytest.approx(50 * share)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_largest_difference_of_any_row_counts(place: int) -> None:
    after = [1.0, 1.0, 1.0]
    after[place] = 1.5
    result = compare(logits(1.0, 1.0, 1.0), logits(*after), torch.float32)
    assert result.max_abs_difference == 0.5
    assert result.rows == 3
    assert not result.passed


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("side", ["before", "after", "both"])
def test_logits_that_are_no_numbers_never_pass(bad: float, place: int, side: str) -> None:
    values = [1.0, 1.0, 1.0]
    broken = list(values)
    broken[place] = bad
    before = broken if side in ("before", "both") else values
    after = broken if side in ("after", "both") else values
    assert not compare(logits(*before), logits(*after), torch.float32).passed


def test_different_numbers_of_rows_do_not_compare() -> None:
    with pytest.raises(ValueError, match="zip"):
        compare(logits(1.0, 2.0), logits(1.0), torch.float32)


def test_half_precision_accepts_no_more_than_half_of_what_an_adapter_does() -> None:
    before, after = logits(1.0, 2.0), logits(1.0, 2.03)

    assert compare(before, after, torch.bfloat16).passed
    assert compare(before, after, torch.bfloat16, effect=0.07).passed
    assert not compare(before, after, torch.bfloat16, effect=0.05).passed
    least = compare(before, after, torch.bfloat16, effect=0.0).tolerance
    assert least == compare(before, after, torch.float32).tolerance == 2e-5 * 2


def test_the_effect_of_an_adapter_is_what_its_absence_changes() -> None:
    form = FORMS["bert"]
    model = tiny_model("bert", vocab_size=152, dtype=torch.bfloat16)
    rows = rows_of(form)
    base = row_logits(model, rows)
    config = LorettaRepConfig(r=4, tt_rank=2, target_modules=["query"], init_weights=False)
    adapted = get_peft_model(model, config)
    found = row_logits(adapted, rows)

    effect = adapter_effect(adapted, rows, found)

    assert all(torch.equal(one, two) for one, two in zip(row_logits(adapted, rows), found, strict=True))
    assert effect == max(float((one - two).abs().max()) for one, two in zip(base, found, strict=True)) > 0
    assert adapter_effect(adapted.float(), rows, found) == math.inf
