"""Random directions that depend on (run seed, step, query) and on nothing else.

numpy's Philox is a counter-based generator: its key is the run's seed, its counter begins at (step, query). A
direction can be drawn in any order, again, on any machine and on any process, with the same bits, and torch's
and numpy's global generators are never touched. Directions are drawn on the CPU, also for a GPU.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

Distribution = Literal["gaussian", "rademacher"]
GENERATOR = "numpy.random.Philox"
_SIGNS_OF_BYTE = 2 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").astype(
    np.float32
) - np.float32(1)
"""Eight numbers for each byte of random bits."""


class DirectionStream:
    """One direction, drawn from its first number to its last in pieces of any size.

    Args:
        seed: Of the run.
        step: Of the optimizer, from 0.
        query: Number of the direction within the step, from 0.
        distribution: ``gaussian`` (MeZO, AdaZeta), or ``rademacher``, -1 or 1 with equal chances.
        block: Number of the part of a direction whose parts are drawn each on its own.
    """

    def __init__(
        self, seed: int, step: int, query: int, distribution: Distribution, *, block: int = 0
    ) -> None:
        # The lowest word counts the numbers drawn, so that no two directions or blocks share any.
        self._bits = np.random.Philox(key=[seed, 0], counter=[0, block, query, step])
        self._generator = np.random.Generator(self._bits)
        self._distribution = distribution
        self._signs = np.empty(0, np.float32)

    def draw(self, count: int) -> torch.Tensor:
        """The next numbers of the direction, ``(count,)``, fp32, on the CPU."""
        if self._distribution == "gaussian":
            return torch.from_numpy(self._generator.standard_normal(count, dtype=np.float32))
        # One bit a number; the rest of a word is kept, so that pieces of another size give the same numbers.
        words = self._bits.random_raw(-(-max(count - self._signs.size, 0) // 64))
        drawn = np.take(_SIGNS_OF_BYTE, words.astype("<u8", copy=False).view(np.uint8), axis=0).reshape(-1)
        signs = np.concatenate([self._signs, drawn]) if self._signs.size else drawn
        self._signs = signs[count:].copy()
        return torch.from_numpy(signs[:count])


def direction(seed: int, step: int, query: int, size: int, distribution: Distribution) -> torch.Tensor:
    """A whole direction, ``(size,)``, fp32, on the CPU."""
    return DirectionStream(seed, step, query, distribution).draw(size)
