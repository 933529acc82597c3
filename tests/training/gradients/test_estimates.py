"""From losses to projected gradients and to a gradient, against the formulas."""

from __future__ import annotations

import math
import statistics

import pytest
import torch

from loretta_cli.config import ZerothOrderSettings
from loretta_cli.training.gradients.estimates import estimate, points_of, projected_gradients
from loretta_cli.training.gradients.trajectory import Record

CENTRAL = ZerothOrderSettings(estimator="central")
ONE_SIDED = ZerothOrderSettings(estimator="one-sided")
EPS = 0.25


def test_a_central_difference_needs_both_sides_and_a_one_sided_one_the_clean_loss_once() -> None:
    assert points_of(CENTRAL, [0, 2]) == [(0, 1), (0, -1), (2, 1), (2, -1)]
    assert points_of(ONE_SIDED, [0, 2]) == [(0, 0), (0, 1), (2, 1)]


def test_slopes_are_differences_over_their_distance() -> None:
    central = {(0, 1): 3.0, (0, -1): 1.0, (1, 1): 1.0, (1, -1): 1.5}
    assert projected_gradients(CENTRAL, central, 2, EPS) == [4.0, -1.0]
    assert projected_gradients(ONE_SIDED, {(0, 0): 1.0, (0, 1): 3.0, (1, 1): 0.5}, 2, EPS) == [8.0, -2.0]


@pytest.mark.parametrize("lost", [math.inf, math.nan])
def test_a_loss_that_is_not_finite_takes_the_query_with_it(lost: float) -> None:
    found = projected_gradients(CENTRAL, {(0, 1): lost, (0, -1): 1.0, (1, 1): 2.0, (1, -1): 1.0}, 2, EPS)
    assert found == [None, 2.0]
    assert projected_gradients(ONE_SIDED, {(0, 0): lost, (0, 1): 1.0}, 1, EPS) == [None]


def test_normalised_differences_are_in_units_of_the_standard_deviation() -> None:
    settings = ZerothOrderSettings(estimator="one-sided", normalize=True)
    losses = {(0, 0): 1.0, (0, 1): 3.0, (1, 1): 0.5, (2, 1): math.inf}
    spread = statistics.stdev([3.0, 0.5])
    found = projected_gradients(settings, losses, 3, EPS)
    assert found[2] is None
    assert found[:2] == pytest.approx([2.0 / spread, -0.5 / spread])


def test_the_gradient_is_the_scaled_mean_over_the_queries_that_count() -> None:
    record = Record(0, 1.0, (2.0, None, -4.0), eps=EPS, lr=0.1, scale=0.5, forward_passes=6)
    drawn = torch.eye(3)
    found = estimate(record, drawn.__getitem__, torch.empty(3))
    assert found.tolist() == [0.5, 0.0, -1.0]
