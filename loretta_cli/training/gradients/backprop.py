"""The exact gradient, by backpropagation."""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch

from loretta_cli.training.gradients.base import BatchLoss, Moment, TrainingRun


class Backprop:
    """Calls ``backward`` on the loss, with dropout."""

    shares_rows = averages = True

    def __init__(self, run: TrainingRun) -> None:
        """Needs nothing of the run."""

    def accumulate(
        self,
        loss: BatchLoss,
        *,
        scale: float,
        backward: Callable[[torch.Tensor], None],
        moment: Moment,
    ) -> torch.Tensor:
        """Backpropagate ``scale * loss()``."""
        loss.model.train()
        value = loss() * scale
        backward(value)
        return value.detach()

    def without(self) -> Collection[str]:
        """Nothing: every step has both."""
        return ()

    def summary(self) -> None:
        """Nothing to say."""

    def saved(self, steps: int) -> None:
        """Nothing to do."""

    def needed(self) -> Collection[int]:
        """None."""
        return ()
