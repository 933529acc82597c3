"""What slopes along random directions are worth, beside the exact gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from loretta_cli.training.gradients.directions import Distribution

LEAST_CORRELATION, MOST_RELATIVE_ERROR = 0.97, 0.2
"""Slopes within both are good: their noise adds little to that of the directions."""


@dataclass(frozen=True, slots=True)
class SlopeCheck:
    """Slopes from losses, for one eps, against exact ones; None where a loss was not finite.

    Args:
        eps: Distance of the perturbed points.
        correlation: Cosine of the two vectors of slopes; 0 where all slopes are 0.
        relative_error: Norm of their difference over that of the exact ones.
        zeros: How many slopes are exactly zero.
        cosine: Of the mean estimate and the exact gradient.
        variance: Of the mean estimate, over the exact gradient's squared norm.
    """

    eps: float
    correlation: float | None
    relative_error: float | None
    zeros: int
    cosine: float | None
    variance: float | None

    @property
    def is_good(self) -> bool:
        """Whether the slopes may stand for exact ones."""
        if self.correlation is None or self.relative_error is None:
            return False
        return self.correlation >= LEAST_CORRELATION and self.relative_error <= MOST_RELATIVE_ERROR


@dataclass(frozen=True, slots=True)
class Theory:
    """What the mean estimate of exact slopes has, on average.

    Args:
        cosine: Root of the expected share of the exact gradient in the squared norm.
        variance: Over the exact gradient's squared norm.
    """

    cosine: float
    variance: float


def theory(size: int, directions: int, distribution: Distribution) -> Theory:
    """Cosine and variance of a mean of ``(g . z_q) z_q``.

    ``E |(g . z) z|^2`` is ``(size + 2) |g|^2`` for Gaussian directions, whose fourth moment is 3, and
    ``size |g|^2`` for those of -1 and 1, which all have the length ``sqrt(size)`` (MeZO, Lemma 2).

    Args:
        size: How many numbers train.
        directions: How many.
        distribution: Of the directions.
    """
    variance = (size + (1 if distribution == "gaussian" else -1)) / directions
    return Theory(1 / math.sqrt(1 + variance), variance)


def compare(
    eps: float, slopes: Sequence[float], gradient: torch.Tensor, draw: Callable[[int], torch.Tensor]
) -> SlopeCheck:
    """Judge the slopes of one eps.

    Args:
        eps: The distance.
        slopes: One a direction, two or more.
        gradient: The exact one, ``(size,)``.
        draw: The direction of each slope, ``(size,)``.
    """
    count, zeros = len(slopes), sum(slope == 0 for slope in slopes)
    if not all(map(math.isfinite, slopes)):
        return SlopeCheck(eps, None, None, zeros, None, None)
    exact_gradient = gradient.double()
    total = torch.zeros_like(exact_gradient)
    exact, squares = [], 0.0
    for query, slope in enumerate(slopes):
        drawn = draw(query).double()
        exact.append(float(drawn @ exact_gradient))
        squares += slope * slope * float(drawn @ drawn)
        total.add_(drawn, alpha=slope / count)
    found_norm, exact_norm = math.hypot(*slopes), math.hypot(*exact)
    difference = math.hypot(*(one - other for one, other in zip(slopes, exact, strict=True)))
    inner = sum(one * other for one, other in zip(slopes, exact, strict=True))
    norm, own = float(total.norm()), float(exact_gradient.norm())
    return SlopeCheck(
        eps,
        correlation=inner / (found_norm * exact_norm) if found_norm else 0.0,
        relative_error=difference / exact_norm,
        zeros=zeros,
        cosine=float(total @ exact_gradient) / (norm * own) if norm else 0.0,
        variance=(squares - count * norm * norm) / (count * (count - 1) * own * own),
    )
