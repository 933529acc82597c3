"""The order of the training rows: shuffled anew each epoch, rows of like length in one batch.

Short texts vary much in length, and a random batch pads all rows to its longest: grouping halves the work.
transformers has such a sampler, but its shuffle depends on how often it was run before; this one depends on
(seed, epoch) only, so a resumed run sees the rows that an uninterrupted one would have seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import BatchSampler, Dataset, Sampler

from loretta_cli.processes import Processes

BATCHES_SORTED_TOGETHER = 16
"""A window of so many batches is sorted by length; a larger one pads less and mixes less."""
WEIGHT = "row_weight"
"""Name of the rows' weights in a batch."""
NUMBER = "row_number"
"""Name of the rows' numbers in a batch."""


class LengthGroupedSampler(Sampler[int]):
    """Indices of rows, an epoch's worth.

    Args:
        lengths: Length of each row in tokens.
        batch_size: Rows of a batch, of all processes together.
        seed: Of the run.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths = list(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next; Trainer and accelerate call this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator).tolist()
        window = self.batch_size * BATCHES_SORTED_TOGETHER
        batches = []
        for start in range(0, len(order), window):
            rows = sorted(order[start : start + window], key=lambda row: self.lengths[row])
            batches += [rows[at : at + self.batch_size] for at in range(0, len(rows), self.batch_size)]
        # A batch that is not full must stay last, or the batches behind it would be cut elsewhere.
        full = [batch for batch in batches if len(batch) == self.batch_size]
        rest = [batch for batch in batches if len(batch) < self.batch_size]
        for index in torch.randperm(len(full), generator=generator).tolist():
            yield from full[index]
        for batch in rest:
            yield from batch


class SharedBatches(Sampler[list[tuple[int, float]]]):
    """One process's share of each batch: the same batches as one process would see, dealt out row by row.

    Yields pairs of a row's index and its weight in the batch: its own over that of the whole batch, times the
    number of processes. So the mean of the processes' weighted sums is the weighted mean over the batch,
    however its rows were dealt out. A process for which a short batch has no row takes the first one with
    weight 0: all must take part in every step.

    Args:
        sampler: The order of the rows.
        batch_size: Rows of a batch, of all processes together.
        mine: The place of this process.
        weights: Of each row.
    """

    def __init__(
        self, sampler: LengthGroupedSampler, batch_size: int, mine: Processes, weights: Sequence[float]
    ) -> None:
        self.sampler = sampler
        self.batch_sampler = self  # Trainer looks here for what it tells the epoch
        self.batches = BatchSampler(sampler, batch_size, drop_last=False)
        self.mine = mine
        self.weights = weights

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[tuple[int, float]]]:
        for batch in self.batches:
            unit = self.mine.count / sum(self.weights[row] for row in batch)
            # Every so manieth row: neighbours are of like length, so all processes have as much to do.
            mine = batch[self.mine.rank :: self.mine.count]
            share = [(row, unit * self.weights[row]) for row in mine]
            yield share or [(batch[0], 0.0)]


@dataclass(frozen=True, slots=True)
class WeightedRows(Dataset[dict[str, Any]]):
    """Rows that are asked for by index and weight, and carry both."""

    rows: Sequence[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: tuple[int, float]) -> dict[str, Any]:
        row, weight = item
        return {**self.rows[row], WEIGHT: weight, NUMBER: row}


@dataclass(frozen=True, slots=True)
class WeightedCollator:
    """Collates rows of :class:`WeightedRows`; the batch gets their weights ``(rows,)``, fp32.

    Args:
        collate: Of the form.
        numbered: Whether the batch gets their numbers too, ``(rows,)``.
    """

    collate: Callable[[Sequence[dict[str, Any]]], dict[str, torch.Tensor]]
    numbered: bool = False

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """A batch with weights."""
        weights = torch.tensor([row[WEIGHT] for row in rows], dtype=torch.float32)
        batch = self.collate(
            [{name: row[name] for name in row if name not in (WEIGHT, NUMBER)} for row in rows]
        )
        if self.numbered:
            batch = {**batch, NUMBER: torch.tensor([row[NUMBER] for row in rows])}
        return {**batch, WEIGHT: weights}
