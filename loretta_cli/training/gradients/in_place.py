"""MeZO's training of every weight (Algorithm 1): the weights are perturbed and updated where they are.

An exception to the rule that an estimator fills ``.grad`` and leaves the step to an optimizer: a gradient, an
optimizer's memory, or an untouched copy of the parameters would each be as large as the model. Perturbing in
place and going back does not restore every last bit, so what a step does to the weights is the whole way to
the points of its losses and back, then the update. Whoever takes a recorded step again, to resume or to
replay, goes the same way with the same roundings, without the forward passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch

from loretta_cli.training.gradients.base import BatchLoss, Moment
from loretta_cli.training.gradients.query_schedules import passes_of
from loretta_cli.training.gradients.trajectory import Header, Record
from loretta_cli.training.gradients.vector import ParameterVector
from loretta_cli.training.gradients.weights import Weights
from loretta_cli.training.gradients.zeroth_order import Step, ZerothOrder

IN_PLACE: Final = "in-place"
"""What a trajectory's header calls the back end."""


class InPlace(ZerothOrder):
    """Estimates as :class:`ZerothOrder` does, and takes the steps itself, by plain SGD.

    Args:
        *arguments: Of :class:`ZerothOrder`.
        weights: The trained parameters.
        **options: Of :class:`ZerothOrder`.
    """

    def __init__(self, *arguments: Any, weights: Weights, **options: Any) -> None:
        self.weights = weights
        self._batches: list[tuple[BatchLoss, float]] = []
        self._is_away = False  # whether the weights are at the last point that was evaluated
        super().__init__(*arguments, **options)

    def _present(self) -> torch.Tensor:
        # There is no copy; what is asked of it is the device.
        return torch.empty(0, device=self.vector.parameters[0].device)

    def _evaluate(self, step: Step, loss: BatchLoss, scale: float) -> None:
        # The batches of a step are evaluated together, so that the way to each point is gone once.
        self._batches.append((loss, scale))

    def _measured(self, step: Step, moment: Moment) -> Record:
        batches, self._batches = self._batches, []

        def loss() -> float:
            return sum(scale * float(evaluated(one)) for one, scale in batches)

        points = set(self._own_points(step.queries))
        found = self.weights.losses_away(step.number, step.queries, points, loss, self.eps)
        self._is_away = True
        step.losses = self._of_all(found, step.queries)
        step.passes = passes_of(self.settings, step.queries) * len(batches)
        return super()._measured(step, moment)

    def _apply(self, record: Record, theta: torch.Tensor) -> None:
        is_away, self._is_away = self._is_away, False
        if record.event == "rollback":
            assert record.to is not None, "a rollback goes somewhere"
            self.vector.take(self.point(record.to))
        else:
            self.weights.take(record, is_away=is_away)

    def _digest(self, theta: torch.Tensor) -> str:
        return self.weights.digest()


def evaluated(loss: BatchLoss) -> torch.Tensor:
    """The loss at the weights as they are, without dropout and without a graph."""
    loss.switch_off_dropout()
    with torch.no_grad():
        return loss()


def follow_in_place(header: Header, records: Sequence[Record], vector: ParameterVector) -> None:
    """Take the steps of some records.

    Args:
        header: Of their trajectory.
        records: From the first step on.
        vector: The parameters as they were at the start; changed in place.
    """
    weights = Weights(
        vector,
        seed=header.seed,
        distribution=header.distribution,
        two_sided=header.estimator == "central",
        weight_decay=header.optimizer_options.weight_decay,
        undecayed=header.undecayed,
    )
    for record in lasting(records):
        weights.take(record, is_away=False)


def lasting(records: Sequence[Record]) -> list[Record]:
    """The records without those that a rollback undid, and without the rollbacks.

    Nothing but the weights is carried from step to step, so those that were undone need not be taken.

    Args:
        records: From the first step on.
    """
    found, steps = [], len(records)
    while steps:
        record = records[steps - 1]
        if record.event == "rollback":
            assert record.to is not None, "a rollback goes somewhere"
            steps = record.to
        else:
            found.append(record)
            steps -= 1
    return found[::-1]
