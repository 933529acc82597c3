"""From losses at perturbed points to projected gradients, and from those to a gradient.

Central: ``g_q = (L(theta + eps z_q) - L(theta - eps z_q)) / (2 eps)`` (MeZO, Algorithm 1). One-sided: the
clean loss ``L(theta)``, one for all queries, instead of the second, and ``eps`` instead of ``2 eps`` (FZOO).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch

from loretta_cli.config import ZerothOrderSettings
from loretta_cli.training.gradients.losses_at import Point
from loretta_cli.training.gradients.trajectory import Record


def points_of(settings: ZerothOrderSettings, queries: Iterable[int]) -> list[Point]:
    """The points that the estimates along some directions need the losses of.

    Args:
        settings: The section ``zo``.
        queries: The numbers of the directions.
    """
    if settings.estimator == "central":
        return [(query, side) for query in queries for side in (1, -1)]
    return [(0, 0), *((query, 1) for query in queries)]


def projected_gradients(
    settings: ZerothOrderSettings, losses: Mapping[Point, float], queries: int, eps: float
) -> list[float | None]:
    """The slope of the loss along each direction; None where a loss is not finite.

    Args:
        settings: The section ``zo``.
        losses: At the points of all directions.
        queries: How many directions.
        eps: Distance of the points.
    """
    g: list[float | None] = []
    for query in range(queries):
        if settings.estimator == "central":
            slope = (losses[query, 1] - losses[query, -1]) / (2 * eps)
        else:
            slope = (losses[query, 1] - losses[0, 0]) / eps
        g.append(slope if math.isfinite(slope) else None)
    if settings.normalize:
        return _normalized(g, [losses[query, 1] for query in range(queries)], eps)
    return g


def _normalized(g: Sequence[float | None], losses: Sequence[float], eps: float) -> list[float | None]:
    """Differences of the losses in units of their standard deviation (FZOO) instead of ``eps``.

    Losses that are all equal, as a metric's often are, have slopes of 0. A single one has no deviation.
    """
    seen = [value for value in losses if math.isfinite(value)]
    if len(seen) < 2:
        return [None] * len(g)
    spread = statistics.stdev(seen)
    return [None if value is None else value * eps / spread if spread else 0.0 for value in g]


def estimate(record: Record, draw: Callable[[int], torch.Tensor], like: torch.Tensor) -> torch.Tensor:
    """The gradient that a record stands for: the mean of ``g_q z_q`` over the queries that count, scaled.

    Args:
        record: Of a step.
        draw: The direction of a query.
        like: A vector of the size and device of the directions.
    """
    counted = [(query, value) for query, value in enumerate(record.g) if value is not None]
    total = torch.zeros_like(like)
    for query, value in counted:
        total.add_(draw(query), alpha=record.scale * value / len(counted))
    return total
