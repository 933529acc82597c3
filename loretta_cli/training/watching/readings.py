"""Loss, gradient norm and learning rate of every step, noted on the device and read in one piece.

To ask a GPU for a number is to wait for it; so the numbers of many steps are fetched together. What is read
is the mean over the processes, so that all of them see the same numbers and come to the same end at one step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

from loretta_cli.processes import processes
from loretta_cli.training.gradients import Moment
from loretta_cli.training.sampling import WEIGHT

MASKED = -100
"""The label that losses leave out."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One optimizer step.

    Args:
        step: From 1.
        loss: The mean over its batches.
        norm: Of the gradient before it was cut; None where it is not known.
        rate: The learning rate.
        learns: Whether any of its rows had a label to learn.
    """

    step: int
    loss: float
    norm: float | None
    rate: float
    learns: bool = True

    @property
    def is_finite(self) -> bool:
        """Whether loss and gradient are."""
        return math.isfinite(self.loss) and (self.norm is None or math.isfinite(self.norm))


class Readings:
    """Notes what happens in each step until it is read."""

    def __init__(self) -> None:
        self._moments: list[Moment] = []
        self._losses: list[torch.Tensor] = []
        self._norms: list[torch.Tensor | None] = []
        self._labels: list[torch.Tensor] = []
        self._loss: torch.Tensor | None = None
        self._learned: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self._moments)

    def add(self, value: torch.Tensor, moment: Moment, batch: Mapping[str, Any] | None = None) -> None:
        """Note a batch.

        Args:
            value: Its share in the loss of the step.
            moment: Where the training is.
            batch: Whose labels are to be looked at; None where they are not.
        """
        self._loss = value.detach() if self._loss is None else self._loss + value.detach()
        if batch is not None:
            learned = _labels_to_learn(batch).to(value.device)
            self._learned = learned if self._learned is None else self._learned + learned
        if not moment.is_last:
            return
        self._moments.append(moment)
        self._losses.append(self._loss.float().reshape(()))
        self._norms.append(None)
        ones = torch.ones_like(self._losses[-1])
        self._labels.append(ones if self._learned is None else self._learned.float())
        self._loss = self._learned = None

    def add_norm(self, norm: torch.Tensor | float | None) -> None:
        """Note the norm of the gradient of the last step."""
        if self._norms and isinstance(norm, int | float | torch.Tensor):
            self._norms[-1] = torch.as_tensor(norm, device=self._losses[-1].device).float().reshape(())

    def read(self) -> list[Reading]:
        """The steps since the last call; all processes call it at the same steps."""
        if not self._moments:
            return []
        norms = [one for one in self._norms if one is not None]
        has_norms = len(norms) == len(self._moments)
        rows = [self._losses, norms if has_norms else self._losses, self._labels]
        table = torch.stack([torch.stack(row) for row in rows])
        if processes().count > 1:
            dist.all_reduce(table)
            table /= dist.get_world_size()
        found = [
            Reading(moment.step + 1, loss, norm if has_norms else None, moment.learning_rate, labels > 0)
            for moment, loss, norm, labels in zip(self._moments, *table.tolist(), strict=True)
        ]
        self._moments, self._losses, self._norms, self._labels = [], [], [], []
        return found


def _labels_to_learn(batch: Mapping[str, Any]) -> torch.Tensor:
    """How many labels of a batch count; one of a batch without any."""
    weights: torch.Tensor = batch[WEIGHT]
    labels: torch.Tensor | None = batch.get("labels")
    if labels is None or labels.is_floating_point():
        return (weights > 0).sum()
    counted = labels != MASKED
    return (counted.reshape(len(counted), -1).any(1) & (weights > 0)).sum()
