"""``loretta check-gradient``: finite differences against autograd's exact gradient, by eps and dtype.

Along a random direction ``z`` the exact slope is ``g . z``. What a slope from two losses is worth shows
beside it. The mean of ``s_q z_q`` over Q directions, even with exact slopes, is mostly noise: with Gaussian
directions of D numbers its squared norm is ``(Q + D + 1) / Q`` times that of ``g`` (from the fourth moments;
MeZO, Lemma 2, has the like for directions of one length), so its cosine with ``g`` is about
``sqrt(Q / (Q + D + 1))``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from loretta_cli.config import Config, ZerothOrderSettings
from loretta_cli.errors import ConfigError, TrainingError
from loretta_cli.planning.plan import Plan, load_base, make_plan, put_adapter
from loretta_cli.processes import Processes, own_device
from loretta_cli.report import Reporter
from loretta_cli.tasks.forms import Row, length_of
from loretta_cli.training.gradients.base import BatchLoss
from loretta_cli.training.gradients.calibration import (
    CALIBRATION_STEP,
    GRID,
    Calibration,
    calibrate,
    evaluation_around,
)
from loretta_cli.training.gradients.directions import direction
from loretta_cli.training.gradients.losses_at import Point, Sequential
from loretta_cli.training.gradients.slopes import SlopeCheck, Theory, compare, theory
from loretta_cli.training.gradients.vector import ParameterVector, trained_parameters
from loretta_cli.training.sampling import (
    WEIGHT,
    LengthGroupedSampler,
    SharedBatches,
    WeightedCollator,
    WeightedRows,
)

CHECK_STEP = CALIBRATION_STEP + 1
"""Directions of the check have a step of their own."""
Dtype = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class DtypeCheck:
    """The check of a model in one dtype.

    Args:
        dtype: Of the frozen weights.
        calibrated: The eps that a run would measure for itself; None if it could not.
        checks: One an eps, rising.
    """

    dtype: str
    calibrated: float | None
    checks: tuple[SlopeCheck, ...]

    @property
    def best(self) -> SlopeCheck | None:
        """That with the least error; None if no slope is finite."""
        finite = [check for check in self.checks if check.relative_error is not None]
        return min(finite, key=lambda check: check.relative_error or 0.0) if finite else None

    def at(self, eps: float) -> SlopeCheck:
        """That of an eps."""
        return next(check for check in self.checks if check.eps == eps)


@dataclass(frozen=True, slots=True)
class GradientCheck:
    """What ``check-gradient`` found.

    Args:
        parameters: How many numbers train.
        rows: Of all batches.
        directions: Random ones, along which slopes are compared.
        own_eps: ``zo.epsilon``, if it is set.
        theory: What exact slopes would give.
        dtypes: The model's own first.
    """

    parameters: int
    rows: int
    directions: int
    own_eps: float | None
    theory: Theory
    dtypes: tuple[DtypeCheck, ...]

    def as_json(self) -> dict[str, Any]:
        """The fields of the document."""
        document = dataclasses.asdict(self)
        for found, check in zip(document["dtypes"], self.dtypes, strict=True):
            found["use"] = check.best.eps if check.best else None
            found["is_good"] = bool(check.best and check.best.is_good)
            found["calibrated_is_good"] = check.calibrated is not None and check.at(check.calibrated).is_good
            for one, slopes in zip(found["checks"], check.checks, strict=True):
                one["is_good"] = slopes.is_good
        return document


def check_gradient(config: Config, reporter: Reporter, *, batches: int, directions: int) -> GradientCheck:
    """Compare estimates with the exact gradient of a new adapter on the first training batches.

    Args:
        config: As for a training, with zeroth-order gradients.
        reporter: Hears of the progress.
        batches: How many; the loss is the mean of theirs.
        directions: How many, at least 2.

    Raises:
        ConfigError: If the objective or the method has no gradient to compare with.
        TrainingError: If the exact gradient is zero or not finite.
    """
    _check_comparable(config)
    plan = make_plan(config)
    for note in plan.data.notes:
        reporter.note(note)
    rows = plan.form.encode(plan.data.train).rows
    chosen = list(_first_batches(plan, rows, batches))
    found: list[DtypeCheck] = []
    size = 0
    for dtype in _dtypes(plan):
        if any(check.dtype == dtype for check in found):
            continue
        try:
            size, check = _of_dtype(plan, rows, chosen, dtype, directions, reporter)
        except TrainingError as error:
            if dtype is None:
                raise
            reporter.note(f"not in {dtype}: {error}")
            continue
        found.append(check)
    zo = plan.config.zo
    expected = theory(size, directions, zo.directions)
    return GradientCheck(size, sum(map(len, chosen)), directions, zo.epsilon, expected, tuple(found))


def _check_comparable(config: Config) -> None:
    if config.training.objective != "loss":
        raise ConfigError(
            f"training.objective is {config.training.objective}, which has no exact gradient.",
            hint="Add --set training.objective=loss.",
        )
    if config.adapter.method == "full":
        raise ConfigError(
            "check-gradient keeps several copies of what trains, and with the method full that is the model.",
            hint="Use another method, such as adp, rep or lora. A training measures its own zo.epsilon.",
        )


def _first_batches(plan: Plan, rows: Sequence[Row], count: int) -> Iterator[list[tuple[int, float]]]:
    """The rows of the first batches of a training, each with its weight."""
    training = plan.config.training
    sampler = LengthGroupedSampler([length_of(row) for row in rows], training.batch_size, training.seed)
    weights = [row.get("weight", 1.0) for row in rows]
    shared = SharedBatches(sampler, training.batch_size, Processes(), weights)
    if count > len(shared):
        raise ConfigError(f"--batches is {count}, and the training rows make {len(shared)}.")
    for _, batch in zip(range(count), shared, strict=False):
        yield batch


def _dtypes(plan: Plan) -> list[Dtype | None]:
    """The model's own dtype (None), and fp32 and bf16 where the machine and the weights can."""
    if plan.config.model.quantization is not None:
        return [None]
    has_bf16 = not torch.cuda.is_available() or torch.cuda.is_bf16_supported()
    return [None, "float32", "bfloat16"] if has_bf16 else [None, "float32"]


def _of_dtype(
    plan: Plan,
    rows: Sequence[Row],
    chosen: Sequence[list[tuple[int, float]]],
    dtype: Dtype | None,
    directions: int,
    reporter: Reporter,
) -> tuple[int, DtypeCheck]:
    """How many numbers train, and the check of one dtype."""
    if dtype is not None:
        model = plan.config.model.model_copy(update={"dtype": dtype})
        plan = dataclasses.replace(plan, config=plan.config.model_copy(update={"model": model}))
    base = load_base(plan)
    name = str(base.model.dtype).removeprefix("torch.")
    adapted = put_adapter(plan, base)
    adapted.model.to(own_device()).eval()
    losses = []
    collate, dataset = WeightedCollator(plan.form.collate), WeightedRows(rows)
    for items in chosen:
        batch = collate([dataset[item] for item in items])
        batch = {name: value.to(own_device()) for name, value in batch.items()}
        weights = batch.pop(WEIGHT)
        losses.append(BatchLoss(adapted.model, plan.form, batch, weights, contextlib.nullcontext))
    vector = trained_parameters(adapted.model)
    zo, seed = plan.config.zo, plan.config.training.seed
    calibrated = _calibrated(evaluation_around(vector, losses[0], zo, seed), zo)
    grid = sorted({*GRID, *([zo.epsilon] if zo.epsilon else []), *([calibrated.eps] if calibrated else [])})
    sides = 2 if zo.estimator == "central" else 1
    passes = len(losses) * (directions * sides * len(grid) + sides % 2)
    spent = calibrated.passes if calibrated else 0
    reporter.note(f"{name}: {passes} forward passes, and {spent} to calibrate")
    checks = check_slopes(vector, losses, zo, seed, eps=grid, directions=directions)
    return sum(vector.sizes.values()), DtypeCheck(name, calibrated.eps if calibrated else None, checks)


def _calibrated(evaluate: Callable[..., dict[Point, float]], zo: ZerothOrderSettings) -> Calibration | None:
    try:
        return calibrate(evaluate, two_sided=zo.estimator == "central")
    except TrainingError:
        return None


def check_slopes(
    vector: ParameterVector,
    losses: Sequence[BatchLoss],
    zo: ZerothOrderSettings,
    seed: int,
    *,
    eps: Sequence[float],
    directions: int,
) -> tuple[SlopeCheck, ...]:
    """Compare the slopes of a mean of losses with autograd's, at the present parameters.

    Args:
        vector: The parameters.
        losses: Of the batches.
        zo: Estimator and directions.
        seed: Of the run.
        eps: Distances to try.
        directions: How many.

    Raises:
        TrainingError: If the exact gradient is zero or not finite.
    """
    theta, exact = vector.read(), exact_gradient(vector, losses)

    def draw(query: int) -> torch.Tensor:
        return direction(seed, CHECK_STEP, query, theta.numel(), zo.directions).to(theta.device)

    def at(points: Sequence[Point], distance: float) -> dict[Point, float]:
        found = [Sequential(vector)(loss, theta, points, draw, distance) for loss in losses]
        return {point: statistics.fmean(one[point] for one in found) for point in points}

    two_sided = zo.estimator == "central"
    points = [(query, side) for query in range(directions) for side in ((1, -1) if two_sided else (1,))]
    checks = []
    try:
        with torch.no_grad():
            clean = 0.0 if two_sided else at([(0, 0)], 0.0)[0, 0]
            for distance in eps:
                found = at(points, distance)
                slopes = [
                    (found[query, 1] - found[query, -1]) / (2 * distance)
                    if two_sided
                    else (found[query, 1] - clean) / distance
                    for query in range(directions)
                ]
                checks.append(compare(distance, slopes, exact, draw))
    finally:
        vector.become(theta)
    return tuple(checks)


def exact_gradient(vector: ParameterVector, losses: Sequence[BatchLoss]) -> torch.Tensor:
    """Autograd's gradient of the mean of some losses, ``(size,)``, without dropout.

    Raises:
        TrainingError: If it is zero or not finite.
    """
    for parameter in vector.parameters:
        parameter.grad = None
    for loss in losses:
        torch.autograd.backward(loss() / len(losses))
    parts = [torch.zeros_like(one) if one.grad is None else one.grad for one in vector.parameters]
    gradient = torch.cat([part.reshape(-1).float() for part in parts])
    for parameter in vector.parameters:
        parameter.grad = None
    size = float(gradient.norm())
    if not math.isfinite(size) or size == 0:
        raise TrainingError(
            f"The exact gradient of the first batch {'is zero' if size == 0 else 'is not finite'}.",
            hint="Use --set model.dtype=float32 or bfloat16, or another method.",
        )
    return gradient
