"""The order of the training rows: shuffled anew each epoch, rows of like length in one batch.

Short texts vary much in length, and a random batch pads all rows to its longest: grouping halves the work.
transformers has such a sampler, but its shuffle depends on how often it was run before; this one depends on
(seed, epoch) only, so a resumed run sees the rows that an uninterrupted one would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

BATCHES_SORTED_TOGETHER = 16
"""A window of so many batches is sorted by length; a larger one pads less and mixes less."""


class LengthGroupedSampler(Sampler[int]):
    """Indices of rows, an epoch's worth.

    Args:
        lengths: Length of each row in tokens.
        batch_size: Rows of a batch.
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
