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


class DirectionStream:
    """One direction, drawn from its first number to its last in pieces of any size.

    Args:
        seed: Of the run.
        step: Of the optimizer, from 0.
        query: Number of the direction within the step, from 0.
        distribution: ``gaussian`` (MeZO, AdaZeta), or ``rademacher``, -1 or 1 with equal chances.
    """

    def __init__(self, seed: int, step: int, query: int, distribution: Distribution) -> None:
        # The lower two words count the numbers drawn, so that no two directions share any.
        bits = np.random.Philox(key=[seed, 0], counter=[0, 0, query, step])
        self._generator = np.random.Generator(bits)
        self._distribution = distribution

    def draw(self, count: int) -> torch.Tensor:
        """The next numbers of the direction, ``(count,)``, fp32, on the CPU."""
        if self._distribution == "gaussian":
            return torch.from_numpy(self._generator.standard_normal(count, dtype=np.float32))
        # numpy draws whole words of bits ahead for booleans, so that pieces of another size would differ.
        shares = self._generator.random(count, dtype=np.float32)
        return torch.from_numpy(np.where(shares < 0.5, np.float32(-1), np.float32(1)))


def direction(seed: int, step: int, query: int, size: int, distribution: Distribution) -> torch.Tensor:
    """A whole direction, ``(size,)``, fp32, on the CPU."""
    return DirectionStream(seed, step, query, distribution).draw(size)
