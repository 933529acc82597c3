"""Texts as token ids: padding. What is cut and where options begin is tested with the forms."""

from __future__ import annotations

from typing import Literal

import pytest

from loretta_cli.tasks.encoding import padded


@pytest.mark.parametrize(
    ("side", "ids", "mask"),
    [
        ("left", [[9, 9, 1], [2, 3, 4], [9, 9, 9]], [[0, 0, 1], [1, 1, 1], [0, 0, 0]]),
        ("right", [[1, 9, 9], [2, 3, 4], [9, 9, 9]], [[1, 0, 0], [1, 1, 1], [0, 0, 0]]),
    ],
)
def test_texts_are_padded_on_one_side(
    side: Literal["left", "right"], ids: list[list[int]], mask: list[list[int]]
) -> None:
    batch = padded([[1], [2, 3, 4], []], 9, side=side)
    assert batch["input_ids"].tolist() == ids
    assert batch["attention_mask"].tolist() == mask
