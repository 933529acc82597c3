"""The order of training rows: a permutation by seed and epoch, rows of like length together."""

from __future__ import annotations

import itertools
import random

import pytest
import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader

from loretta_cli.processes import Processes
from loretta_cli.training.sampling import (
    BATCHES_SORTED_TOGETHER,
    WEIGHT,
    LengthGroupedSampler,
    SharedBatches,
    WeightedCollator,
    WeightedRows,
)

LENGTHS = random.Random(0).choices(range(4, 120), k=1003)
BATCH = 8


def order(
    epoch: int = 0, *, seed: int = 0, lengths: list[int] | None = None, batch: int = BATCH
) -> list[int]:
    sampler = LengthGroupedSampler(LENGTHS if lengths is None else lengths, batch, seed)
    sampler.set_epoch(epoch)
    return list(sampler)


def batches(rows: list[int], size: int = BATCH) -> list[list[int]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def padding(rows: list[int]) -> int:
    """Padding tokens of an epoch."""
    return sum(max(LENGTHS[row] for row in batch) - LENGTHS[row] for batch in batches(rows) for row in batch)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 127, 128, 129, 1003])
@pytest.mark.parametrize("size", [1, 8, 200])
def test_an_epoch_has_every_row_once(count: int, size: int) -> None:
    rows = order(lengths=LENGTHS[:count], batch=size)
    assert sorted(rows) == list(range(count))
    assert len(LengthGroupedSampler(LENGTHS[:count], size, 0)) == count


def test_the_order_depends_on_seed_and_epoch_only() -> None:
    sampler = LengthGroupedSampler(LENGTHS, BATCH, 5)
    sampler.set_epoch(3)
    torch.manual_seed(1)
    first = list(sampler)
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        list(sampler)
    sampler.set_epoch(3)
    torch.manual_seed(2)
    assert list(sampler) == first == order(3, seed=5)


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    order()
    assert torch.equal(torch.rand(3), expected)


def test_epochs_and_seeds_differ() -> None:
    orders = [order(epoch, seed=seed) for epoch, seed in itertools.product(range(4), range(4))]
    assert len({tuple(rows) for rows in orders}) == 16
    groups = [{frozenset(batch) for batch in batches(rows)} for rows in orders]
    for one, two in itertools.combinations(groups, 2):
        assert len(one & two) < 10


def test_the_largest_seed_is_accepted() -> None:
    assert sorted(order(10_000, seed=2**32 - 1)) == list(range(len(LENGTHS)))


def test_rows_of_one_batch_are_of_like_length() -> None:
    at_random = list(range(len(LENGTHS)))
    random.Random(1).shuffle(at_random)
    assert padding(order()) < padding(at_random) / 5


def test_batches_do_not_come_sorted_by_length() -> None:
    means = [sum(LENGTHS[row] for row in batch) / len(batch) for batch in batches(order())]
    rising = sum(one < two for one, two in itertools.pairwise(means)) / (len(means) - 1)
    assert 0.35 < rising < 0.65


@pytest.mark.parametrize("count", [BATCH + 1, 3 * BATCH + 5, BATCH * BATCHES_SORTED_TOGETHER + 3, 1003])
def test_the_batch_that_is_not_full_is_the_last(count: int) -> None:
    """So that the loader cuts the same batches that the sampler made."""
    for epoch in range(5):
        sizes = [len(batch) for batch in batches(order(epoch, lengths=LENGTHS[:count]))]
        assert sizes == [BATCH] * (count // BATCH) + [count % BATCH]
    # A window of rows is sorted; were the cut shifted, a batch would mix the longest and the shortest.
    spread = [
        max(LENGTHS[i] for i in batch) - min(LENGTHS[i] for i in batch) for batch in batches(order())[:-1]
    ]
    assert max(spread) < 60


def prepared_loader(sampler: LengthGroupedSampler) -> DataLoader[int]:
    """A loader as Trainer has it."""
    rows: list[int] = list(range(len(LENGTHS)))
    loader = DataLoader(rows, batch_size=BATCH, sampler=sampler)  # type: ignore[arg-type]
    prepared: DataLoader[int] = Accelerator(cpu=True).prepare_data_loader(loader)
    return prepared


def seen(loader: DataLoader[int]) -> list[int]:
    return [int(row) for batch in loader for row in batch]


def test_a_loader_prepared_by_accelerate_passes_the_epoch_on() -> None:
    loader = prepared_loader(LengthGroupedSampler(LENGTHS, BATCH, 0))
    for epoch in (2, 0, 1):
        loader.set_epoch(epoch)  # type: ignore[attr-defined]
        assert seen(loader) == order(epoch)


def test_a_prepared_loader_gives_another_epoch_each_time_it_is_run() -> None:
    loader = prepared_loader(LengthGroupedSampler(LENGTHS, BATCH, 0))
    assert [seen(loader) for _ in range(3)] == [order(epoch) for epoch in range(3)]


@pytest.mark.parametrize("count", [2, 3, 8])
@pytest.mark.parametrize("rows", [16, 17, 25, 1])
def test_processes_deal_out_the_batches_of_one(count: int, rows: int) -> None:
    whole = batches(order(1, lengths=LENGTHS[:rows], batch=24), 24)
    shares = []
    for rank in range(count):
        mine = Processes(rank, rank, count)
        shared = SharedBatches(LengthGroupedSampler(LENGTHS[:rows], 24, 0), 24, mine, [1.0] * rows)
        shared.set_epoch(1)
        shares.append(list(shared))
        assert len(shared) == len(shares[-1]) == len(whole), "every process takes part in every step"

    for batch, parts in zip(whole, zip(*shares, strict=True), strict=True):
        counted = [row for part in parts for row, weight in part if weight]
        assert sorted(counted) == sorted(batch)
        for part in parts:
            assert part, "no process has nothing to compute"
            assert {weight for _, weight in part} <= {0.0, count / len(batch)}


@pytest.mark.parametrize(
    ("weights", "mean"), [([1.0] * 5, 27 / 5), ([3, 1, 2, 1, 3], (3 * 3 + 5 + 2 * 6 + 9 + 3 * 4) / 10)]
)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_mean_of_the_weighted_sums_is_the_weighted_mean_over_the_batch(
    weights: list[float], mean: float, count: int
) -> None:
    rows = [{"input_ids": [1] * length, "loss": float(length)} for length in (3, 5, 6, 9, 4)]
    shares = []
    for rank in range(count):
        sampler = LengthGroupedSampler([len(row["input_ids"]) for row in rows], 8, 0)
        (share,) = SharedBatches(sampler, 8, Processes(rank, rank, count), weights)
        collate = WeightedCollator(lambda some: {"loss": torch.tensor([row["loss"] for row in some])})
        batch = collate([WeightedRows(rows)[item] for item in share])
        shares.append(float(batch[WEIGHT] @ batch["loss"]))

    assert sum(shares) / count == pytest.approx(mean)


def test_an_epoch_set_where_trainer_looks_reaches_the_sampler() -> None:
    sampler = LengthGroupedSampler(LENGTHS, BATCH, 0)
    shared = SharedBatches(sampler, BATCH, Processes(0, 0, 2), [1.0] * len(LENGTHS))
    first = list(shared)
    shared.batch_sampler.set_epoch(1)

    assert list(shared) != first
