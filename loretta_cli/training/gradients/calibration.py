"""Choosing eps: far enough for the loss to change by more than its rounding, near enough to be a slope.

A slope is wrong by noise, which falls with eps, and by curvature, which grows with it: by its square where it
is a central difference. So two slopes along one direction at neighbouring eps differ by a sum of two known
curves; fitted to all neighbours, they say where the error is least, and no exact gradient is needed. A bf16
backbone, whose losses have a high noise floor, gets a larger eps than one in fp32.

That most of an adapter's gradient is zero at its start, since its last core is, does no harm: a random
direction always has a share in the rest.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from loretta_cli.config import ZerothOrderSettings
from loretta_cli.errors import TrainingError
from loretta_cli.training.gradients.base import BatchLoss
from loretta_cli.training.gradients.directions import direction
from loretta_cli.training.gradients.losses_at import Point, Sequential
from loretta_cli.training.gradients.vector import ParameterVector

GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
DIRECTIONS = 4
CALIBRATION_STEP = 2**63
"""Directions of the calibration have a step of their own."""
MOST_ERROR = 0.2
"""Slopes that are further off are told of."""
CHANGED = 0.75
"""Share of the directions along which a metric must change."""

Evaluation = Callable[[Sequence[Point], float], dict[Point, float]]
"""The losses at some points (query, side) for an eps."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured.

    Args:
        eps: The choice.
        error: The error that is expected of its slopes, relative to their size; None for a metric, which has
            no slopes.
        passes: Forward passes that it took.
    """

    eps: float
    error: float | None
    passes: int


def calibrate(
    evaluate: Evaluation,
    *,
    two_sided: bool = True,
    metric: bool = False,
    grid: Sequence[float] = GRID,
    numbers: str = "--set model.dtype=float32",
) -> Calibration:
    """Choose the eps whose slopes are expected to be the least wrong.

    Of a metric, which changes in steps, it is the least eps at which it changes along most directions.

    Args:
        evaluate: The losses around the present parameters.
        two_sided: Whether the slopes are central differences.
        metric: Whether the loss is minus a metric.
        grid: Rising.
        numbers: The flags that mend losses that are not finite.

    Raises:
        TrainingError: If the losses are not finite, or all the same.
    """
    clean, passes = 0.0, 0
    if not two_sided:
        clean, passes = evaluate([(0, 0)], grid[0])[0, 0], 1
    points = [(query, side) for query in range(DIRECTIONS) for side in ((1, -1) if two_sided else (1,))]
    slopes: dict[float, list[float]] = {}
    for eps in grid:
        losses = evaluate(points, eps)
        found = [
            (losses[query, 1] - (losses[query, -1] if two_sided else clean)) / (2 * eps if two_sided else eps)
            for query in range(DIRECTIONS)
        ]
        if all(map(math.isfinite, found)):
            slopes[eps] = found
    passes += len(points) * len(grid)
    if len(slopes) < 2:
        unperturbed = evaluate([(0, 0)], grid[0])[0, 0]
        if math.isfinite(unperturbed):
            raise TrainingError(
                "The loss of the first batch is not finite at the perturbed points.",
                hint=f"Use --set zo.epsilon={grid[0] / 10:g}, or {numbers}.",
            )
        raise TrainingError(
            f"The loss of the first batch is {unperturbed}, before anything was trained: the forward pass of "
            "the base model gives no numbers.",
            hint=f"Use {numbers}.",
        )
    if not any(slope for found in slopes.values() for slope in found):
        raise TrainingError(
            f"The {'score' if metric else 'loss'} of the first batch is the same at all perturbed points.",
            hint="Raise training.batch_size, or set zo.epsilon, such as 0.01."
            if metric
            else "Check that the adapter reaches the model's output, or set zo.epsilon, such as 0.01.",
        )
    if metric:
        changed = {eps: sum(slope != 0 for slope in found) for eps, found in slopes.items()}
        needed = min(CHANGED * DIRECTIONS, max(changed.values()))
        return Calibration(min(eps for eps in slopes if changed[eps] >= needed), None, passes)
    eps, error = _least_wrong(slopes, power=2 if two_sided else 1)
    return Calibration(eps, error, passes)


def passes_to_calibrate(*, two_sided: bool) -> int:
    """Forward passes that :func:`calibrate` takes.

    Args:
        two_sided: Whether the slopes are central differences.
    """
    return DIRECTIONS * len(GRID) * 2 if two_sided else DIRECTIONS * len(GRID) + 1


def _least_wrong(slopes: dict[float, list[float]], *, power: int) -> tuple[float, float]:
    """The eps with the least error, and that error relative to the slopes' size.

    The squared error at eps is taken to be ``scale * ((c / eps)^2 + (eps / c)^(2 power))``: noise, and
    curvature, equal at ``eps = c``. Noise of two neighbours is independent; curvature is the same function.

    Args:
        slopes: Of each eps, one a direction.
        power: Of eps, with which the error by curvature grows.
    """
    grid = sorted(slopes)
    observed = [
        (low, high, math.log(squares))
        for low, high in itertools.pairwise(grid)
        if (squares := sum((a - b) ** 2 for a, b in zip(slopes[low], slopes[high], strict=True)))
    ]

    def fit(c: float) -> tuple[float, float, float]:
        """How badly ``c`` fits, and ``c`` with the log of the scale that fits best."""
        rests = [
            squares
            - math.log((c / low) ** 2 + (c / high) ** 2 + ((high / c) ** power - (low / c) ** power) ** 2)
            for low, high, squares in observed
        ]
        # Medians and absolute values: at the ends of the grid losses saturate, or rounding swallows all.
        scale = statistics.median(rests)
        return sum(abs(rest - scale) for rest in rests), c, scale

    if not observed:
        return grid[len(grid) // 2], 0.0
    decades = math.log10(grid[-1] / grid[0])
    candidates = [grid[0] * 10 ** (decades * (step / 40 - 0.125)) for step in range(51)]
    _, c, scale = min(map(fit, candidates))

    def squared_error(eps: float) -> float:
        return float((c / eps) ** 2 + (eps / c) ** (2 * power))

    eps = min(grid, key=squared_error)
    size = sum(slope * slope for slope in slopes[eps])
    return eps, math.sqrt(math.exp(scale) * squared_error(eps) / size) if size else math.inf


def evaluation_around(
    vector: ParameterVector, loss: BatchLoss, settings: ZerothOrderSettings, seed: int
) -> Evaluation:
    """The losses of a batch around the present parameters, along the directions of a run's calibration.

    Args:
        vector: The parameters.
        loss: Of the batch.
        settings: The section ``zo``.
        seed: Of the run.
    """
    theta, losses_at = vector.read(), Sequential(vector)
    directions = {
        query: direction(seed, CALIBRATION_STEP, query, theta.numel(), settings.directions).to(theta.device)
        for query in range(DIRECTIONS)
    }

    def evaluate(points: Sequence[Point], eps: float) -> dict[Point, float]:
        loss.model.eval()
        try:
            with torch.no_grad():
                return losses_at(loss, theta, points, directions.__getitem__, eps)
        finally:
            vector.become(theta)

    return evaluate
