"""Which rows share a forward pass."""

from __future__ import annotations

from typing import Any, cast

from loretta_cli.planning.passes import largest_batch, longest_rows, padded_tokens, row_length
from loretta_cli.tasks.forms import Row


def rows(*lengths: int) -> list[Row]:
    return [cast("Row", {"input_ids": [0] * length}) for length in lengths]


def lengths(batch: Any) -> list[int]:
    return [row_length(row) for row in batch]


def test_the_batch_with_the_most_tokens_is_one_that_an_evaluation_makes() -> None:
    assert lengths(largest_batch(rows(9, 1, 8, 2, 7), 2)) == [7, 8]
    assert lengths(largest_batch(rows(30, 1, 8, 2, 7), 2)) == [30]
    assert lengths(largest_batch(rows(3, 5), 64)) == [3, 5]
    assert largest_batch([], 4) == []


def test_a_training_may_have_the_longest_rows_in_one_batch() -> None:
    assert lengths(longest_rows(rows(9, 1, 8, 2, 7), 2)) == [9, 8]
    assert padded_tokens(rows(9, 1, 8)) == 27
    assert padded_tokens([]) == 0
