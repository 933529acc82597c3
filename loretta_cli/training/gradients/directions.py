"""Random directions that depend on (run seed, step, query) and on nothing else.

numpy's Philox is a counter-based generator: its key is the run's seed, its counter begins at (step, query). A
direction can be drawn in any order, again, on any machine and on any process, with the same bits, and torch's
and numpy's global generators are never touched. Directions are drawn on the CPU, also for a GPU.

Only Philox's raw words are used, which numpy promises to keep; it does not promise to keep the numbers of
``Generator.standard_normal``. A Gaussian number is the normal quantile of 16 bits of them: inverse transform
sampling (Devroye 1986, II.2) from the middles of 65,536 intervals of equal probability. So it is one of
65,536 numbers, with mean 0, variance 1, and kurtosis 2.9992 instead of 3; the largest is 4.32, which 15 of a
million true Gaussian numbers exceed. No quantile, computed in double precision, is nearer than 5,000 of its
own last places to where it would round to another single, so the table has the same bits on every machine.
Drawing from it takes about a fifth of the time of ``standard_normal``.
"""

from __future__ import annotations

import functools
import math
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import torch

Distribution = Literal["gaussian", "rademacher"]
GENERATOR = "numpy.random.Philox, 65536 normal quantiles"
"""In the header of a trajectory: it changes whenever a direction gets other numbers."""
PIECE = 2**16
"""Numbers that are looked up at once, so that indices and numbers stay in the cache; a multiple of 64."""


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
        is_gaussian = distribution == "gaussian"
        self._table = normal_quantiles() if is_gaussian else _signs_of_byte()
        self._index = "<u2" if is_gaussian else "u1"
        self._per_word = 4 if is_gaussian else 64
        self._rest = np.empty(0, np.float32)

    def draw(self, count: int) -> torch.Tensor:
        """The next numbers of the direction, ``(count,)``, fp32, on the CPU."""
        kept = self._rest.size
        words = -(-max(count - kept, 0) // self._per_word)
        drawn = np.empty(kept + words * self._per_word, np.float32)
        drawn[:kept] = self._rest
        for start in range(kept, drawn.size, PIECE):
            part = drawn[start : start + PIECE]
            bits = self._bits.random_raw(part.size // self._per_word).astype("<u8", copy=False)
            found = part.reshape(-1, *self._table.shape[1:])
            # No index is out of range; "clip" only spares the buffer that the other modes need.
            np.take(self._table, bits.view(self._index), axis=0, out=found, mode="clip")
        # The rest of a word is kept, so that pieces of another size give the same numbers.
        self._rest = drawn[count:].copy()
        return torch.from_numpy(drawn[:count])


def direction(seed: int, step: int, query: int, size: int, distribution: Distribution) -> torch.Tensor:
    """A whole direction, ``(size,)``, fp32, on the CPU."""
    return DirectionStream(seed, step, query, distribution).draw(size)


@functools.cache
def normal_quantiles() -> np.ndarray[Any, np.dtype[np.float32]]:
    """The Gaussian number of each 16 bits, ``(65536,)``, fp32, ascending; antisymmetric, of variance 1."""
    inverse = NormalDist().inv_cdf
    upper = [inverse((index + 0.5) / 65536) for index in range(32768, 65536)]
    spread = math.sqrt(math.fsum(value * value for value in upper) / len(upper))
    half = np.array([value / spread for value in upper], np.float32)
    return np.concatenate([-half[::-1], half])


@functools.cache
def _signs_of_byte() -> np.ndarray[Any, np.dtype[np.float32]]:
    """Eight numbers for each byte of random bits, ``(256, 8)``, fp32."""
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
    return 2 * bits.astype(np.float32) - np.float32(1)
