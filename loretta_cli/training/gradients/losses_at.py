"""Evaluating a batch's loss at points around the present parameters, one after the other.

Several at once: :mod:`loretta_cli.training.gradients.batched`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch

from loretta_cli.training.gradients.base import BatchLoss
from loretta_cli.training.gradients.vector import ParameterVector

Point = tuple[int, int]
"""A query, and the side of it: 1, -1, or 0 for the parameters as they are."""


class LossesAt(Protocol):
    """Evaluates a batch's loss at several points around the present parameters."""

    def __call__(
        self,
        loss: BatchLoss,
        theta: torch.Tensor,
        points: Sequence[Point],
        draw: Callable[[int], torch.Tensor],
        eps: float,
    ) -> dict[Point, float]:
        """The loss at ``theta + side * eps * draw(query)`` of each point (query, side).

        Args:
            loss: Of the batch.
            theta: The parameters, ``(size,)``.
            points: Where to evaluate.
            draw: The direction of a query, ``(size,)``, on the device of ``theta``.
            eps: Distance of the points.
        """


class Sequential:
    """One forward pass after the other.

    Args:
        vector: The trained parameters.
    """

    def __init__(self, vector: ParameterVector) -> None:
        self.vector = vector

    def __call__(
        self,
        loss: BatchLoss,
        theta: torch.Tensor,
        points: Sequence[Point],
        draw: Callable[[int], torch.Tensor],
        eps: float,
    ) -> dict[Point, float]:
        """See :class:`LossesAt`."""
        found = {}
        # One vector takes the place of all points; the parameters have their views into it made once.
        here = torch.empty_like(theta)
        self.vector.become(here)
        for query, side in points:
            if side:
                torch.add(theta, draw(query), alpha=side * eps, out=here)
            else:
                here.copy_(theta)
            found[query, side] = float(loss())
        return found
