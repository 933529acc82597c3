"""Gradient estimates from forward passes alone (MeZO, Section 2; AdaZeta, Section 3.2).

``g_q = (L(theta + eps z_q) - L(theta - eps z_q)) / (2 eps)`` for each query q, a random direction ``z_q``;
the estimate is the mean of ``g_q z_q``. Unlike in the papers' code, ``theta`` is never perturbed in place:
the parameters look at another vector for the time of a forward pass, so that there is nothing to restore.
"""

from __future__ import annotations

import hashlib
import math
import statistics
from collections.abc import Callable, Collection, Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from loretta_cli.config import ZerothOrderSettings
from loretta_cli.errors import TrainingError
from loretta_cli.processes import Processes, from_all
from loretta_cli.training.gradients.base import BatchLoss, Moment
from loretta_cli.training.gradients.estimates import estimate, points_of, projected_gradients
from loretta_cli.training.gradients.guards import LOSSES_KEPT, Guard
from loretta_cli.training.gradients.losses_at import LossesAt, Point
from loretta_cli.training.gradients.mending import Mending
from loretta_cli.training.gradients.query_schedules import passes_of, queries_at
from loretta_cli.training.gradients.recent_directions import RecentDirections
from loretta_cli.training.gradients.trajectory import EVENTS, Record, Trajectory, finite
from loretta_cli.training.gradients.vector import ParameterVector

MOST_ROLLBACKS = 7
STEPS_BETWEEN_CHECKS = 50
"""After so many steps, several processes compare their parameters."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is decided once for all steps.

    Args:
        eps: Distance of the perturbed points.
        losses_at: Evaluates the losses; None where the parameters are perturbed in place.
        passes: Forward passes that it took to decide.
    """

    eps: float
    losses_at: LossesAt | None
    passes: int


@dataclass(slots=True)
class Step:
    """An optimizer step in the making.

    Args:
        number: From 0.
        theta: The parameters before it.
        queries: How many directions.
        record: What the trajectory says of it, where it is taken once more or needs no forward pass.
        losses: Of each point, over the batches accumulated so far.
        passes: Forward passes so far.
    """

    number: int
    theta: torch.Tensor
    queries: int
    record: Record | None
    losses: dict[Point, float] = field(default_factory=dict)
    passes: int = 0


class ZerothOrder:
    """Estimates gradients by finite differences along random directions, and keeps the trajectory.

    Steps that the trajectory has already are taken again from it, without forward passes: that is how a run
    that was cut off goes on after its last checkpoint.

    Args:
        settings: The section ``zo``.
        vector: The trained parameters.
        seed: Of the directions.
        epochs: Of the whole training, for the schedule of the queries.
        mine: This process among those that share the work.
        begin: Decides what is left open, with the first batch that is evaluated.
        trajectory: Takes the records; None on every process but the first.
        past: The records that exist.
        taken: How many of them the parameters have behind them.
        checkpoints: The numbers of steps after which there is one.
        point: The folder with the parameters after a number of steps, for a rollback.
        optimizer: The optimizer, once there is one.
        tell: Hears of each new record, and the guard that has seen it.
        mending: The flags that mend the run where it fails.
    """

    averages = False

    def __init__(
        self,
        settings: ZerothOrderSettings,
        vector: ParameterVector,
        *,
        seed: int,
        epochs: int,
        mine: Processes,
        begin: Callable[[BatchLoss], Beginning],
        trajectory: Trajectory | None,
        past: Sequence[Record],
        taken: int,
        checkpoints: Container[int],
        point: Callable[[int], Path],
        optimizer: Callable[[], torch.optim.Optimizer],
        tell: Callable[[Record, Guard], None],
        mending: Mending | None = None,
    ) -> None:
        self.settings, self.vector, self.seed, self.epochs = settings, vector, seed, epochs
        self.mine, self.begin, self.trajectory = mine, begin, trajectory
        self.point, self.optimizer, self.tell = point, optimizer, tell
        self.mending = mending or Mending()
        self.shares_rows = settings.split == "rows"
        self.guard = Guard(settings)
        self.passes = 0
        self.last_loss: float | None = None
        self._has_gradient = False
        self._beginning: Beginning | None = None
        self._past = list(past)
        self._step: Step | None = None
        self.last: Record | None = None
        """The last step that had slopes."""
        self._direction = RecentDirections(seed, settings.directions, vector)
        for record in self._past[:taken]:
            self._remember(record)
            if record.step + 1 in checkpoints:
                self.guard.saved(record.step + 1)

    def accumulate(
        self,
        loss: BatchLoss,
        *,
        scale: float,
        backward: Callable[[torch.Tensor], None],
        moment: Moment,
    ) -> torch.Tensor:
        """Evaluate the batch; with the last one of a step, fill ``.grad`` with the estimate.

        Returns:
            With the last batch of a step, the mean of its losses, or of a step without finite ones the mean
            of the last that had; otherwise 0, and 0 before the first finite loss (see :meth:`without`).
        """
        if self._beginning is None and moment.step >= len(self._past):
            self._beginning = self.begin(loss)
            self.passes += self._beginning.passes
        step = self._step if self._step and self._step.number == moment.step else self._start(moment)
        if step.record is None:
            self._evaluate(step, loss, scale)
        if not moment.is_last:
            return step.theta.new_zeros(())
        record = step.record or self._measured(step, moment)
        is_new = moment.step >= len(self._past)
        if is_new and self.trajectory is not None:
            self.trajectory.append(record)
        self._remember(record)
        if is_new:
            self.tell(record, self.guard)
        self._apply(record, step.theta)
        self._step = None
        return step.theta.new_tensor(self.last_loss or 0.0)

    @property
    def beginning(self) -> Beginning:
        """What was decided with the first batch."""
        assert self._beginning is not None, "decided before anything is evaluated"
        return self._beginning

    @property
    def eps(self) -> float:
        """Distance of the perturbed points."""
        return self.beginning.eps

    def _start(self, moment: Moment) -> Step:
        queries = queries_at(self.settings, moment.epoch, self.epochs)
        record = self._past[moment.step] if moment.step < len(self._past) else None
        if record is None and self.guard.has_exploded:
            if self.guard.events["rollback"] >= MOST_ROLLBACKS:
                raise TrainingError(
                    f"The loss has exploded {MOST_ROLLBACKS + 1} times, at last at step {moment.step + 1}, "
                    f"and steps {1 / self.guard.pace:,.0f} times shorter did not help.",
                    hint=f"Use {self.mending.slower}.",
                )
            record = self._record(moment, None, (), event="rollback", to=self.guard.good)
        self._step = Step(moment.step, self._present(), queries, record)
        if self.mine.count > 1 and moment.step % STEPS_BETWEEN_CHECKS == 0:
            self._check_equal(self._step.theta)
        return self._step

    def _present(self) -> torch.Tensor:
        return self.vector.present()

    def _evaluate(self, step: Step, loss: BatchLoss, scale: float) -> None:
        """Add a batch's losses at all points of the step."""
        losses_at, points = self.beginning.losses_at, self._own_points(step.queries)
        assert losses_at is not None, "only the in-place mode has none"

        def draw(query: int) -> torch.Tensor:
            return self._direction(step.number, query)

        loss.switch_off_dropout()
        try:
            with torch.no_grad():
                found = losses_at(loss, step.theta, points, draw, self.eps)
        finally:
            self.vector.become(step.theta)
        step.passes += passes_of(self.settings, step.queries)
        for one, value in self._of_all(found, step.queries).items():
            step.losses[one] = step.losses.get(one, 0.0) + scale * value

    def _own_points(self, queries: int) -> list[Point]:
        """Where this process evaluates."""
        splits_rows = self.settings.split == "rows"
        own = [query for query in range(queries) if splits_rows or query % self.mine.count == self.mine.rank]
        return points_of(self.settings, own)

    def _of_all(self, found: dict[Point, float], queries: int) -> dict[Point, float]:
        """The losses that all processes have found, or the means of what they found of their rows."""
        if self.mine.count == 1:
            return found
        points = [(query, side) for query in range(queries) for side in (0, 1, -1)]
        table = torch.tensor([found.get(point, 0.0) for point in points], dtype=torch.float64)
        seen = torch.tensor([point in found for point in points], dtype=torch.float64)
        both = torch.stack([table, seen]).to(self.vector.parameters[0].device)
        dist.all_reduce(both)
        sums, counts = both.tolist()
        return {
            point: total / count for point, total, count in zip(points, sums, counts, strict=True) if count
        }

    def _measured(self, step: Step, moment: Moment) -> Record:
        """The record of a step whose losses are all there."""
        self.passes += step.passes
        g = projected_gradients(self.settings, step.losses, step.queries, self.eps)
        seen = [value for value in step.losses.values() if math.isfinite(value)]
        if not finite(g):
            return self._record(moment, None, g, event="skip")
        cut, was_cut = self.guard.clipped(g)
        return self._record(moment, statistics.fmean(seen), cut, event="clip" if was_cut else "")

    def _record(
        self,
        moment: Moment,
        loss: float | None,
        g: Sequence[float | None],
        *,
        event: str,
        to: int | None = None,
    ) -> Record:
        return Record(
            step=moment.step,
            loss=loss,
            g=tuple(g),
            eps=self.eps,
            lr=moment.learning_rate * self.guard.pace,
            scale=self.guard.scale(g) if finite(g) else 0.0,
            forward_passes=self.passes,
            event=event,
            to=to,
        )

    def _remember(self, record: Record) -> None:
        self.guard.add(record)
        self.passes = record.forward_passes
        if record.g:
            self.last = record
        if record.loss is not None:
            self.last_loss = record.loss
        elif self.guard.first_loss is None and record.step + 1 >= LOSSES_KEPT:
            raise TrainingError(
                f"None of the losses of the first {LOSSES_KEPT} steps is finite.",
                hint=f"Use {self.mending.numbers}, or a smaller zo.epsilon{self._smaller_epsilon()}.",
            )

    def _smaller_epsilon(self) -> str:
        """The flag, in brackets, where the present one is known."""
        return f" (--set zo.epsilon={self.eps / 10:g})" if self._beginning else ""

    def _apply(self, record: Record, theta: torch.Tensor) -> None:
        """Leave parameters and ``.grad`` as the optimizer is to find them."""
        if record.event == "rollback":
            assert record.to is not None, "a rollback goes somewhere"
            self.vector.become(self.vector.load(self.point(record.to)))
            self.optimizer().state.clear()
        for group in self.optimizer().param_groups:
            group["lr"] = record.lr  # until the scheduler sets that of the next step
        self._has_gradient = bool(finite(record.g))
        if not finite(record.g):
            for parameter in self.vector.parameters:
                parameter.grad = None
            return
        self.vector.set_gradient(estimate(record, lambda query: self._direction(record.step, query), theta))

    def saved(self, steps: int) -> None:
        """Have rollbacks go to the present parameters, those after so many steps, if they prove good."""
        self.guard.saved(steps)

    def needed(self) -> Collection[int]:
        """Where a rollback goes, and where one may come to go."""
        return self.guard.points

    def summary(self) -> dict[str, Any]:
        """Forward passes, their distance, queries of the last step, what the guards did, the pace now."""
        return {
            "forward_passes": self.passes,
            "eps": self.last.eps if self.last else None,
            "queries": len(self.last.g) if self.last else 0,
            "events": {name: self.guard.events[name] for name in EVENTS},
            "pace": self.guard.pace,
        }

    def without(self) -> Collection[str]:
        """No gradient norm after a skip or a rollback; no loss before the first finite one."""
        found = [] if self.last_loss is not None else ["loss"]
        return found if self._has_gradient else [*found, "grad_norm"]

    def _check_equal(self, theta: torch.Tensor) -> None:
        if len(set(from_all(self._digest(theta)))) > 1:
            raise TrainingError(
                "The processes no longer have the same parameters.",
                hint="Use the same versions of all libraries, and the same kind of device, on all machines.",
            )

    def _digest(self, theta: torch.Tensor) -> str:
        return hashlib.sha256(theta.cpu().numpy().tobytes()).hexdigest()
