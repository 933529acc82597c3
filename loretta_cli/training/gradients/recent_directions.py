"""The directions of the present step, drawn again only where keeping them would take much memory."""

from __future__ import annotations

import torch

from loretta_cli.training.gradients.directions import Distribution, direction
from loretta_cli.training.gradients.vector import ParameterVector

MOST_BYTES = 16 * 2**20
"""Kept at once. Drawing a million Gaussian numbers takes about 2 milliseconds, a forward pass often 100."""


class RecentDirections:
    """Draws the directions of a run.

    A step needs each of its directions twice, in the same order: for the losses and for the estimate. So the
    first ones are kept, and the one asked for last; dropping the oldest would keep none for the second time.

    Args:
        seed: Of the run.
        distribution: Of the numbers.
        vector: The trained parameters, whose size and device directions have.
    """

    def __init__(self, seed: int, distribution: Distribution, vector: ParameterVector) -> None:
        self.seed, self.distribution, self.vector = seed, distribution, vector
        self._size = sum(vector.sizes.values())
        self._step = -1
        self._kept: dict[int, torch.Tensor] = {}
        self._last: tuple[int, torch.Tensor] | None = None

    def __call__(self, step: int, query: int) -> torch.Tensor:
        """One direction, ``(size,)``, fp32; not to be changed."""
        if step != self._step:
            self._step, self._last = step, None
            self._kept.clear()
        if query in self._kept:
            return self._kept[query]
        if self._last is not None and self._last[0] == query:
            return self._last[1]
        self._last = None  # before the next one takes its memory
        drawn = direction(self.seed, step, query, self._size, self.distribution)
        drawn = drawn.to(self.vector.parameters[0].device)
        if (len(self._kept) + 2) * drawn.nbytes <= MOST_BYTES:
            self._kept[query] = drawn
        else:
            self._last = query, drawn
        return drawn
