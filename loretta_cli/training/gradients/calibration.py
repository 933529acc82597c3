"""Choosing eps: far enough for the loss to change by more than its rounding, near enough to be a slope.

Where eps is too small, two slopes along one direction differ by noise, which falls with eps; where it is too
large, by curvature, which grows with it. Between the two they agree best, and no exact gradient is needed to
see where. A bf16 backbone, whose losses have a high noise floor, gets a larger eps than one in fp32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loretta_cli.errors import TrainingError
from loretta_cli.training.gradients.zeroth_order import Point

GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
DIRECTIONS = 4


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured.

    Args:
        eps: The choice.
        disagreement: Of each eps of the grid but the last: the mean difference between its slopes and those
            of the next eps, over the mean size of the slopes.
        passes: Forward passes that it took.
    """

    eps: float
    disagreement: dict[float, float]
    passes: int


def calibrate(
    evaluate: Callable[[Sequence[Point], float], dict[Point, float]], grid: Sequence[float] = GRID
) -> Calibration:
    """Choose the eps whose slopes agree best with those of the next larger one.

    Args:
        evaluate: The losses at some points (query, side) for an eps.
        grid: Rising.

    Raises:
        TrainingError: If no two neighbours have finite slopes.
    """
    points = [(query, side) for query in range(DIRECTIONS) for side in (1, -1)]
    slopes = []
    for eps in grid:
        losses = evaluate(points, eps)
        slopes.append([(losses[q, 1] - losses[q, -1]) / (2 * eps) for q in range(DIRECTIONS)])
    disagreement = {}
    for eps, these, following in zip(grid, slopes, slopes[1:], strict=False):
        size = sum(abs(value) for value in (*these, *following)) / 2
        difference = sum(abs(one - other) for one, other in zip(these, following, strict=True))
        if math.isfinite(difference):
            disagreement[eps] = difference / size if size else math.inf
    if not disagreement:
        raise TrainingError(
            "The loss of the first batch is not finite at the perturbed points.",
            hint="Use model.dtype=float32 or bfloat16.",
        )
    return Calibration(min(disagreement, key=disagreement.__getitem__), disagreement, len(points) * len(grid))
