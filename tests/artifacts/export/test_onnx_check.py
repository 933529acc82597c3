"""Batches of different sizes and lengths, and what of their logits is compared."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from loretta_cli.artifacts.export.onnx_check import (
    LONGEST,
    POSITIONS,
    Reference,
    around_gap,
    batches,
    compared,
    input_names,
    reference,
)

ROWS: list[dict[str, Any]] = [
    {"input_ids": list(range(10, 13 + number)), "token_type_ids": [0] * (3 + number), "labels": 0}
    for number in range(16)
]


class Echo(nn.Module):
    """Each token's logits are its id, and ids of padding are 1,000 times as large."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any) -> Any:
        ids = torch.where(attention_mask.bool(), input_ids, 1000)
        return SimpleNamespace(logits=torch.stack([ids.double(), -ids.double()], dim=-1))


def test_batches_differ_in_size_and_length_and_hold_every_row() -> None:
    asked = batches(ROWS, 0)

    assert [tuple(batch["input_ids"].shape) for batch in asked] == [(1, 3), (2, 5), (5, 10), (8, 18)]
    assert asked[1]["attention_mask"].tolist() == [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    assert asked[1]["input_ids"].tolist()[0] == [10, 11, 12, 13, 0]
    assert asked[3]["token_type_ids"].shape == (8, 18)


def test_more_rows_than_that_make_one_more_batch_and_fewer_make_less() -> None:
    assert [len(batch["input_ids"]) for batch in batches(ROWS + ROWS[:3], 0)] == [1, 2, 5, 8, 3]
    assert [len(batch["input_ids"]) for batch in batches(ROWS[:4], 0)] == [1, 2, 1]


def test_of_options_the_first_is_taken_and_long_texts_are_cut() -> None:
    rows = [{"input_ids": [[7, 8, 9], [1]], "labels": 0}, {"input_ids": [[4] * 50, [1]], "labels": 0}]

    assert [batch["input_ids"].tolist() for batch in batches(rows, 0, longest=4)] == [
        [[7, 8, 9]],
        [[4, 4, 4, 4]],
    ]


def test_of_long_texts_with_a_gap_the_gap_stays() -> None:
    gap = 7
    texts = [
        [gap, *range(20, 420)],
        [*range(20, 420), gap],
        [*range(20, 220), gap, *range(220, 420)],
        [1, gap],
    ]

    found = [row["input_ids"] for row in around_gap([{"input_ids": ids, "labels": 0} for ids in texts], gap)]

    assert [len(ids) for ids in found] == [LONGEST, LONGEST, LONGEST, 2]
    assert all(gap in ids for ids in found)
    assert found[0] == texts[0][:LONGEST]
    assert found[1] == texts[1][-LONGEST:]


def test_a_gap_far_from_the_end_is_compared_too() -> None:
    gap = 7
    rows = [{"input_ids": [1, gap, *range(20, 50)]}, {"input_ids": [1, 2, gap]}]
    asked = batches(rows, 0)
    found = reference(Echo(), asked, gap)

    assert found.gap == gap
    assert [len(one) for one in found.logits] == [POSITIONS + 1, 3 + 1]
    answers = [Echo()(**batch).logits for batch in asked]
    assert compared(found, answers).comparison.passed
    answers[0][0, 1] += 1
    assert not compared(found, answers).comparison.passed


def test_a_graph_takes_segments_only_where_the_model_has_them() -> None:
    assert input_names(ROWS) == ["input_ids", "attention_mask", "token_type_ids"]
    assert input_names([{"input_ids": [1]}]) == ["input_ids", "attention_mask"]


def test_of_tokens_the_last_that_are_no_padding_are_compared() -> None:
    long = [{"input_ids": list(range(40))}, {"input_ids": [5, 6]}, {"input_ids": list(range(100, 130))}]

    found = reference(Echo(), batches(long, 0))

    assert found.rows == 3
    assert found.logits[0][:, 0].tolist() == list(range(40 - POSITIONS, 40))
    assert found.logits[1][:, 0].tolist() == [5, 6, *range(130 - POSITIONS, 130)]


def test_a_difference_and_another_prediction_are_seen() -> None:
    asked = batches(ROWS[:3], 0)
    found = Reference(asked, [torch.tensor([[0.5, 0.4]]), torch.tensor([[1.0, 2.0], [3.0, 4.0]])], 3)

    agreed = compared(found, [torch.tensor([[0.4, 0.5]]), torch.tensor([[1.0, 2.0], [3.0, 4.0]])])

    assert (agreed.predictions, agreed.same) == (3, 2)
    assert abs(agreed.comparison.max_abs_difference - 0.1) < 1e-6
    assert not agreed.comparison.passed


def test_a_number_that_is_none_fails_in_any_batch() -> None:
    asked = batches(ROWS[:3], 0)
    found = Reference(asked, [torch.ones(1, 2), torch.ones(2, 2)], 3)

    for answers in ([torch.ones(1, 2), torch.ones(2, 2) * torch.nan], [torch.ones(1, 2) * torch.nan] * 2):
        assert not compared(found, answers).comparison.passed


def test_a_score_is_no_prediction() -> None:
    found = Reference(batches(ROWS[:1], 0), [torch.tensor([[0.7]])], 1)

    assert compared(found, [torch.tensor([[0.7]])]).predictions == 0


def test_large_logits_are_held_to_their_own_size() -> None:
    asked = batches(ROWS[:1], 0)
    tolerances = [
        compared(Reference(asked, [here], 1), [here]).comparison.tolerance
        for here in (torch.tensor([[1.0, 0.5]]), torch.tensor([[30.0, -50.0]]))
    ]

    assert tolerances == [1e-4, 1e-3]
