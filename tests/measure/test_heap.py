"""The heap tells what freed blocks keep resident."""

from __future__ import annotations

import pytest

from loretta_cli.measure.heap import make_heap

BLOCK = 100 * 2**10


def test_a_block_that_is_given_back_is_counted_once() -> None:
    heap = make_heap()
    if heap is None:
        pytest.skip("another C library")
    for _ in range(5):
        block = heap.take(64 * 2**20)  # larger than the heap ever takes
        assert block is not None
        heap.give_back(*block)

    assert heap.peak == pytest.approx(64 * 2**20, rel=0.01)


def test_blocks_between_others_stay_resident() -> None:
    heap = make_heap()
    if heap is None:
        pytest.skip("another C library")
    blocks = [heap.take(BLOCK) for _ in range(200)]
    alive = heap.peak
    for block in blocks[::2]:
        assert block is not None
        heap.give_back(*block)
    more = heap.take(30 * BLOCK)

    assert alive >= 199 * BLOCK
    assert heap.peak >= alive + 20 * BLOCK, "no hole was large enough"
    for block in (*blocks[1::2], more):
        assert block is not None
        heap.give_back(*block)
