"""What the scores of a row's labels or options mean: the loss to train on, and the prediction.

Scores are ``(rows, labels)`` in fp32. Where rows have different numbers of options, those that a row does not
have score minus infinity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch.nn import functional


class Objective(Protocol):
    """A loss and the prediction that belongs to it."""

    def losses(self, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss of each row, ``(rows,)``."""

    def predictions(self, scores: torch.Tensor) -> list[int] | list[float]:
        """What each row's scores say: the number of what is chosen, or a value."""


class OptionCrossEntropy:
    """The largest score wins; the loss is the cross-entropy of the scores (MeZO's classification loss)."""

    def losses(self, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross-entropy over the labels."""
        return functional.cross_entropy(scores, labels, reduction="none")

    def predictions(self, scores: torch.Tensor) -> list[int]:
        """The label with the largest score, the first one among equals."""
        return [int(label) for label in scores.argmax(dim=-1)]


class TeacherForcing(OptionCrossEntropy):
    """The largest score wins; the loss is that of the right option alone (MeZO, for COPA and ReCoRD)."""

    def losses(self, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Minus the mean log-probability of the right option."""
        return -scores.gather(1, labels[:, None])[:, 0]


class SquaredError:
    """The one score is the answer; the loss is its squared error."""

    def losses(self, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Squared error."""
        return (scores[:, 0] - labels.float()) ** 2

    def predictions(self, scores: torch.Tensor) -> list[float]:
        """The score."""
        return [float(value) for value in scores[:, 0]]


@dataclass(frozen=True, slots=True)
class ExpectedScore:
    """Each option stands for a value, and their mean, weighted by probability, is the answer.

    The loss is the cross-entropy to the two values around the right one, weighted so that their mean is it.

    Args:
        values: The value of each option, rising.
    """

    values: tuple[float, ...]

    def losses(self, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross-entropy to a target whose mean is the label."""
        values = torch.tensor(self.values, device=scores.device)
        labels = labels.float().clamp(values[0], values[-1])
        above = torch.searchsorted(values, labels).clamp(1, len(self.values) - 1)
        share = (labels - values[above - 1]) / (values[above] - values[above - 1])
        target = torch.zeros_like(scores).scatter_(1, above[:, None], share[:, None])
        target.scatter_(1, above[:, None] - 1, 1 - share[:, None])
        return -(target * scores.log_softmax(dim=-1)).sum(dim=-1)

    def predictions(self, scores: torch.Tensor) -> list[float]:
        """The mean value."""
        return [float(value) for value in scores.softmax(dim=-1) @ scores.new_tensor(self.values)]
