"""The printed shapes: products, alignment, and counts equal to those of the printed order."""

from __future__ import annotations

import math

import pytest

from loretta_cli.tt import ModeShape, count_parameters, resolve_ranks
from loretta_cli.tt.published import PUBLISHED_MODES, published_modes

PRINTED_ORDER = {
    (5120, 16): (16, 8, 16, 8, 5),
    (8192, 16): (16, 8, 16, 8, 8),
    (8192, 64): (16, 16, 16, 8, 4, 4),
    (768, 8): (8, 12, 8, 8),
}
"""Shapes of the paper's code that are stored in another order."""


def count(modes: tuple[int, ...], rank: int) -> int:
    return count_parameters(modes, resolve_ranks(modes, rank))


@pytest.mark.parametrize("size", PUBLISHED_MODES)
def test_published_modes_multiply_to_their_matrix(size: tuple[int, int]) -> None:
    assert math.prod(PUBLISHED_MODES[size]) == size[0] * size[1]


@pytest.mark.parametrize("size", sorted(set(PUBLISHED_MODES) - {(16, 1024)}))
def test_every_published_shape_but_one_is_aligned_in_both_directions(size: tuple[int, int]) -> None:
    for inputs, outputs in (size, size[::-1]):
        modes = published_modes(inputs, outputs)
        assert modes is not None
        assert ModeShape(inputs, outputs, modes).boundary is not None


@pytest.mark.parametrize("size", PRINTED_ORDER)
@pytest.mark.parametrize("rank", [2, 5, 8])
def test_a_reordered_shape_keeps_the_printed_count(size: tuple[int, int], rank: int) -> None:
    assert count(PUBLISHED_MODES[size], rank) == count(PRINTED_ORDER[size], rank)


def test_the_pair_of_table_10_counts_1560_at_rank_5() -> None:
    down, up = published_modes(768, 64), published_modes(64, 768)
    assert down is not None
    assert up is not None
    assert count(down, 5) + count(up, 5) == 1560


def test_an_up_projection_is_its_down_projection_reversed() -> None:
    assert published_modes(64, 5120) == (8, 8, 16, 8, 8, 5)


def test_a_matrix_that_no_paper_prints_has_no_published_modes() -> None:
    assert published_modes(48, 64) is None
