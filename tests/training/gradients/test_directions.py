"""Directions depend on (seed, step, query) alone, and are what their distribution says."""

from __future__ import annotations

import hashlib
import itertools
import math
import random

import numpy as np
import pytest
import torch
from scipy.special import ndtri

from loretta_cli.training.gradients import directions
from loretta_cli.training.gradients.directions import (
    DirectionStream,
    Distribution,
    direction,
    normal_quantiles,
)

KINDS: tuple[Distribution, ...] = ("gaussian", "rademacher")
SIZE = 200_000
SIGMAS = 5.0
"""A right generator would miss one of these limits once in 1.7 million times."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pieces", [(1,) * 150, (64, 64, 22), (7, 0, 100, 43), (149, 1)])
def test_pieces_of_any_size_give_the_same_numbers(kind: Distribution, pieces: tuple[int, ...]) -> None:
    stream = DirectionStream(3, 5, 2, kind)

    drawn = torch.cat([stream.draw(size) for size in pieces])

    assert torch.equal(drawn, direction(3, 5, 2, 150, kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("looked_up", [64, 128, 2**14])
def test_how_many_numbers_are_looked_up_at_once_does_not_matter(
    kind: Distribution, looked_up: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = direction(3, 5, 2, 1000, kind)
    monkeypatch.setattr(directions, "PIECE", looked_up)
    stream = DirectionStream(3, 5, 2, kind)

    assert torch.equal(torch.cat([stream.draw(5), stream.draw(995)]), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_drawing_does_not_matter(kind: Distribution) -> None:
    places = list(itertools.product((0, 1, 2**32 - 1), (0, 7, 2**40), (0, 1, 19)))
    first = {place: direction(*place, 33, kind) for place in places}

    for place in reversed(places):
        assert torch.equal(direction(*place, 33, kind), first[place])


@pytest.mark.parametrize("kind", KINDS)
def test_the_global_generators_neither_matter_nor_move(kind: Distribution) -> None:
    drawn = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        before = torch.get_rng_state(), repr(np.random.get_state()), random.getstate()
        drawn.append(direction(0, 0, 0, 1000, kind))
        after = torch.get_rng_state(), repr(np.random.get_state()), random.getstate()
        assert torch.equal(before[0], after[0])
        assert before[1:] == after[1:]

    assert torch.equal(*drawn)


@pytest.mark.parametrize("kind", KINDS)
def test_seed_step_query_and_block_each_give_another_direction(kind: Distribution) -> None:
    found = [direction(*place, SIZE, kind) for place in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))]
    found.append(DirectionStream(0, 0, 0, kind, block=1).draw(SIZE))

    for one, other in itertools.combinations(found, 2):
        correlation = float((one.double() * other.double()).mean())
        assert abs(correlation) < SIGMAS / SIZE**0.5


@pytest.mark.parametrize("kind", KINDS)
def test_mean_variance_and_kurtosis_are_those_of_the_distribution(kind: Distribution) -> None:
    z = direction(0, 0, 0, SIZE, kind).double()
    square, fourth = float(z.square().mean()), float(z.pow(4).mean())

    assert z.dtype == torch.float64
    assert abs(float(z.mean())) < SIGMAS / SIZE**0.5
    if kind == "rademacher":
        assert (square, fourth) == (1, 1)
    else:
        assert abs(square - 1) < SIGMAS * (2 / SIZE) ** 0.5
        assert abs(fourth - 3) < SIGMAS * (96 / SIZE) ** 0.5
        for limit, share in ((1.0, 0.682689), (2.0, 0.954500), (3.0, 0.997300)):
            found = float((z.abs() < limit).double().mean())
            assert abs(found - share) < SIGMAS * (share * (1 - share) / SIZE) ** 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_next_to_each_other_are_independent(kind: Distribution) -> None:
    z = direction(0, 0, 0, SIZE, kind).double()

    for lag in (1, 2, 8, 64):
        assert abs(float((z[lag:] * z[:-lag]).mean())) < SIGMAS / (SIZE - lag) ** 0.5


def test_rademacher_numbers_are_minus_one_or_one() -> None:
    z = direction(0, 0, 0, SIZE, "rademacher")

    assert set(z.tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize("kind", KINDS)
def test_directions_are_fp32_on_the_cpu(kind: Distribution) -> None:
    z = direction(0, 0, 0, 5, kind)

    assert (z.dtype, z.device.type, z.shape) == (torch.float32, "cpu", (5,))


def test_gaussian_numbers_are_the_quantiles_of_sixteen_bits_each() -> None:
    words = np.random.Philox(key=[3, 0], counter=[0, 0, 2, 5]).random_raw(50)
    bits = [int(word) >> shift & 0xFFFF for word in words for shift in (0, 16, 32, 48)]

    assert direction(3, 5, 2, 200, "gaussian").tolist() == normal_quantiles()[bits].tolist()


def test_quantiles_are_those_of_scipy_with_variance_one() -> None:
    upper = ndtri((np.arange(32768, 65536) + 0.5) / 65536)
    upper /= math.sqrt(math.fsum((upper * upper).tolist()) / 32768)

    assert normal_quantiles().tolist() == np.concatenate([-upper[::-1], upper]).astype(np.float32).tolist()


def test_moments_of_the_quantiles_are_as_documented() -> None:
    table = normal_quantiles().astype(np.float64)

    assert (table + table[::-1] == 0).all()
    assert (np.diff(table) > 0).all()
    assert math.fsum(table**2) / len(table) == pytest.approx(1, abs=1e-9)
    assert math.fsum(table**4) / len(table) == pytest.approx(2.9992, abs=1e-4)
    assert table.max() == pytest.approx(4.32, abs=0.01)


def test_no_quantile_is_near_to_where_it_would_round_to_another_number() -> None:
    """So other arithmetic in double precision, a few last places off, gives the same table."""
    upper = ndtri((np.arange(32768, 65536) + 0.5) / 65536)
    upper /= math.sqrt(math.fsum((upper * upper).tolist()) / 32768)
    table = upper.astype(np.float32)
    for limit in (0, np.inf):
        border = (table.astype(np.float64) + np.nextafter(table, np.float32(limit))) / 2
        assert (np.abs(upper - border) > 5000 * np.spacing(upper)).all()


def test_the_quantiles_have_the_same_bits_on_every_machine() -> None:
    content = normal_quantiles().astype("<f4").tobytes()

    expected = "8babbcaf96568f10165a1eab530c0e5c92d04de96761b6dbb3dadfa94baba37f"
    assert hashlib.sha256(content).hexdigest() == expected


def test_the_numbers_of_a_trajectory_stay_the_same_for_ever() -> None:
    gaussian = direction(42, 7, 3, 4, "gaussian")
    signs = direction(42, 7, 3, 8, "rademacher")

    assert gaussian.tolist() == [
        *(-0.5339223146438599, -0.5307051539421082),
        *(-0.44579795002937317, 2.244121551513672),
    ]
    assert signs.tolist() == [-1, -1, 1, -1, 1, 1, 1, 1]
