"""Losses one after the other: at the right points, with one vector for all of them."""

from __future__ import annotations

import torch
from torch import nn

from loretta_cli.measure.live_memory import peak_rise_bytes
from loretta_cli.training.gradients.losses_at import Sequential
from tests.bowls import Bowl, bowl_loss, bowl_vector, z_of

POINTS = [(0, 0), (0, 1), (0, -1), (3, 1), (0, 0)]


def draw(query: int) -> torch.Tensor:
    return z_of(0, query).float()


@torch.no_grad()
def test_every_point_has_the_loss_of_its_own_parameters() -> None:
    bowl = Bowl()
    vector, loss = bowl_vector(bowl), bowl_loss(bowl)
    loss.switch_off_dropout()
    theta = vector.read()
    before = theta.clone()

    found = Sequential(vector)(loss, theta, POINTS, draw, 0.1)

    assert torch.equal(theta, before)
    assert set(found) == set(POINTS)
    for (query, side), value in found.items():
        bowl.w = nn.Parameter(theta + side * 0.1 * draw(query))
        torch.testing.assert_close(value, float(loss()))


@torch.no_grad()
def test_all_points_take_the_memory_of_one() -> None:
    bowl = Bowl()
    vector, loss = bowl_vector(bowl), bowl_loss(bowl)
    theta, directions = vector.read(), {query: draw(query) for query, _ in POINTS}

    def all_points() -> None:
        Sequential(vector)(loss, theta, POINTS, directions.__getitem__, 0.1)

    rise = peak_rise_bytes(all_points, theta.device)

    assert rise <= peak_rise_bytes(loss, theta.device) + theta.nbytes
