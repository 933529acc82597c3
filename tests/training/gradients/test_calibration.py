"""The choice of eps against losses whose noise and curvature are known."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest

from loretta_cli.errors import TrainingError
from loretta_cli.training.gradients.calibration import (
    DIRECTIONS,
    GRID,
    Calibration,
    calibrate,
    passes_to_calibrate,
)

Point = tuple[int, int]


class Losses:
    """``1 + slope x + bend x^2 / 2 + twist x^3`` along each direction, each with noise; counts its calls."""

    def __init__(self, *, noise: float, bend: float = 0.0, twist: float = 0.0, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.noise, self.bend, self.twist = noise, bend, twist
        self.slopes = [self.random.gauss(0, 1) for _ in range(DIRECTIONS)]
        self.calls = 0

    def __call__(self, points: Sequence[Point], eps: float) -> dict[Point, float]:
        self.calls += len(points)
        return {(query, side): self.at(query, side * eps) for query, side in points}

    def at(self, query: int, x: float) -> float:
        noise = self.random.gauss(0, self.noise)
        return 1 + self.slopes[query] * x + self.bend * x * x / 2 + self.twist * x**3 + noise

    def error(self, eps: float, *, two_sided: bool = True) -> float:
        """What the slopes of an eps are expected to be off, over their size."""
        noise = self.noise / eps * (math.sqrt(0.5) if two_sided else math.sqrt(2))
        curvature = self.twist * eps**2 if two_sided else self.bend * eps / 2
        size = math.sqrt(sum(slope**2 for slope in self.slopes) / DIRECTIONS)
        return math.hypot(noise, curvature) / size


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("noise", [1e-8, 1e-6, 1e-4, 1e-3])
@pytest.mark.parametrize("seed", range(8))
def test_the_slopes_of_the_choice_are_good_where_there_are_good_ones(
    noise: float, two_sided: bool, seed: int
) -> None:
    losses = Losses(noise=noise, bend=0.5, twist=10.0, seed=seed)
    found = calibrate(losses, two_sided=two_sided)
    least = min(losses.error(eps, two_sided=two_sided) for eps in GRID)

    assert losses.error(found.eps, two_sided=two_sided) < max(0.2, 2 * least)


def test_more_noise_asks_for_a_larger_eps() -> None:
    chosen = [calibrate(Losses(noise=noise, twist=10.0)).eps for noise in (1e-8, 1e-6, 1e-4, 1e-3)]

    assert chosen == sorted(chosen)
    assert chosen[0] < chosen[-1]


def test_the_expected_error_tells_good_slopes_from_bad_ones() -> None:
    good, bad = (calibrate(Losses(noise=noise, twist=10.0)).error for noise in (1e-6, 1.0))

    assert good is not None
    assert bad is not None
    assert good < 0.05 < 0.2 < bad


def test_noise_alone_does_not_pass_for_agreement() -> None:
    """Where two neighbours agree by chance, the others tell."""
    for seed in range(50):
        assert calibrate(Losses(noise=1e-3, twist=10.0, seed=seed)).eps >= 1e-2


@pytest.mark.parametrize(("two_sided", "passes"), [(True, 64), (False, 33)])
def test_the_passes_are_counted(two_sided: bool, passes: int) -> None:
    losses = Losses(noise=1e-6, bend=1.0, twist=1.0)
    found = calibrate(losses, two_sided=two_sided)

    assert losses.calls == found.passes == passes_to_calibrate(two_sided=two_sided) == passes


def test_slopes_without_any_error_are_enough() -> None:
    assert calibrate(lambda points, eps: {point: float(point[1]) * eps for point in points}).eps in GRID


def test_an_eps_at_which_the_loss_is_not_finite_is_left_out() -> None:
    losses = Losses(noise=1e-6, twist=10.0)

    def evaluate(points: Sequence[Point], eps: float) -> dict[Point, float]:
        return {point: math.nan if eps > 1e-3 else value for point, value in losses(points, eps).items()}

    assert calibrate(evaluate).eps <= 1e-3


@pytest.mark.parametrize(("value", "words"), [(math.nan, "gives no numbers"), (0.7, "the same at all")])
def test_losses_that_say_nothing_are_refused(value: float, words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        calibrate(lambda points, eps: dict.fromkeys(points, value))


def test_losses_that_were_none_before_are_not_blamed_on_epsilon() -> None:
    with pytest.raises(TrainingError, match="nan, before anything was trained") as broken:
        calibrate(lambda points, eps: dict.fromkeys(points, math.nan), numbers="another model")
    with pytest.raises(TrainingError, match="at the perturbed points") as far:
        calibrate(lambda points, eps: {point: math.inf if point[1] else 0.7 for point in points})

    assert broken.value.hint == "Use another model."
    assert "--set zo.epsilon=1e-05, or --set model.dtype=float32" in str(far.value.hint)


def steps(width: float) -> Callable[[Sequence[Point], float], dict[Point, float]]:
    """Minus a metric that a wide enough perturbation changes, along all directions but the fourth."""

    def evaluate(points: Sequence[Point], eps: float) -> dict[Point, float]:
        return {
            (query, side): -0.5 - 0.1 * (side > 0 and query < 3 and eps >= width) for query, side in points
        }

    return evaluate


def test_a_metric_gets_the_least_eps_at_which_it_changes_along_most_directions() -> None:
    assert calibrate(steps(1e-2), metric=True) == Calibration(1e-2, None, 64)


def test_a_metric_that_never_changes_is_refused() -> None:
    with pytest.raises(TrainingError, match="score of the first batch is the same") as error:
        calibrate(steps(1.0), metric=True)

    assert "training.batch_size" in (error.value.hint or "")
