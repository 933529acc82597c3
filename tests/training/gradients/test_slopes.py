"""Slopes along directions against an exact gradient, by hand and by theory."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
import torch

from loretta_cli.training.gradients.directions import direction
from loretta_cli.training.gradients.slopes import compare, theory

SIZE, COUNT = 40, 6


def draw(query: int) -> torch.Tensor:
    return direction(3, 0, query, SIZE, "gaussian")


@pytest.fixture
def gradient() -> torch.Tensor:
    return torch.linspace(-1, 2, SIZE)


def exact_slopes(gradient: torch.Tensor) -> list[float]:
    return [float(draw(query).double() @ gradient.double()) for query in range(COUNT)]


def test_exact_slopes_have_no_error(gradient: torch.Tensor) -> None:
    found = compare(0.1, exact_slopes(gradient), gradient, draw)

    assert found.correlation == pytest.approx(1)
    assert found.relative_error == pytest.approx(0, abs=1e-12)
    assert found.zeros == 0
    assert found.is_good


def test_cosine_and_variance_are_those_of_the_mean_estimate(gradient: torch.Tensor) -> None:
    slopes = [1.0, -2.0, 0.0, 4.0, 0.5, 1.0]
    found = compare(0.1, slopes, gradient, draw)

    parts = np.stack([slope * draw(query).double().numpy() for query, slope in enumerate(slopes)])
    mean, exact = parts.mean(axis=0), gradient.double().numpy()
    cosine = mean @ exact / np.linalg.norm(mean) / np.linalg.norm(exact)
    assert found.cosine == pytest.approx(cosine)
    assert found.variance == pytest.approx(parts.var(axis=0, ddof=1).sum() / COUNT / (exact @ exact))
    assert found.zeros == 1


def test_slopes_that_are_a_half_too_large_correlate_and_are_not_good(gradient: torch.Tensor) -> None:
    found = compare(0.1, [1.5 * slope for slope in exact_slopes(gradient)], gradient, draw)

    assert found.correlation == pytest.approx(1)
    assert found.relative_error == pytest.approx(0.5)
    assert not found.is_good


def test_slopes_of_zero_do_not_correlate(gradient: torch.Tensor) -> None:
    found = compare(0.1, [0.0] * COUNT, gradient, draw)

    assert (found.correlation, found.zeros, found.cosine) == (0.0, COUNT, 0.0)


def test_slopes_that_are_not_finite_say_nothing(gradient: torch.Tensor) -> None:
    found = compare(0.1, [1.0, math.nan, *[1.0] * (COUNT - 2)], gradient, draw)

    assert found.correlation is found.relative_error is found.cosine is found.variance is None
    assert not found.is_good


@pytest.mark.parametrize("distribution", ["gaussian", "rademacher"])
def test_theory_holds_over_many_estimates(distribution: Literal["gaussian", "rademacher"]) -> None:
    """Mean squared norm over 4,000 estimates; its standard error is about 1 %, 5 of them are allowed."""
    size, count, estimates = 20, 4, 4000
    gradient = torch.randn(size, generator=torch.Generator().manual_seed(0))
    z = direction(0, 0, 0, estimates * count * size, distribution).view(estimates, count, size)
    mean = ((z @ gradient)[..., None] * z).mean(dim=1)
    squared = float((mean.square().sum(-1) / gradient.square().sum()).mean())
    expected = theory(size, count, distribution)

    assert squared == pytest.approx(1 + expected.variance, rel=0.05)
    assert expected.cosine == pytest.approx(1 / math.sqrt(1 + expected.variance))
    if distribution == "gaussian":
        assert expected.cosine == pytest.approx(math.sqrt(count / (count + size + 1)))
