"""The seam between the training loop and where its gradients come from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from peft import PeftModel
from torch import nn

from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.config import Config
from loretta_cli.report import Reporter
from loretta_cli.tasks.forms import TaskForm


@dataclass(frozen=True, slots=True)
class BatchLoss:
    """The loss of one batch, as a function of the model's parameters.

    Args:
        model: The model whose parameters train.
        form: How it meets the task.
        inputs: The batch.
        weights: Of the rows in the loss, ``(rows,)``.
        precision: Makes the context in which the model computes.
        score: Of the batch at the present parameters, where minus that counts instead of the rows' losses.
    """

    model: nn.Module
    form: TaskForm
    inputs: Mapping[str, torch.Tensor]
    weights: torch.Tensor
    precision: Callable[[], AbstractContextManager[object]]
    score: Callable[[], float] | None = None

    def switch_off_dropout(self) -> None:
        """Put the model into evaluation mode, if a part of it is not: to look is quicker."""
        if any(module.training for module in self.model.modules()):
            self.model.eval()

    def __call__(self) -> torch.Tensor:
        """The weighted mean of the rows' losses at the present parameters, or minus their score; a scalar."""
        with self.precision():
            if self.score is not None:
                return self.weights.new_tensor(-self.score())
            return self.weights @ self.form.losses(self.model, self.inputs)


@dataclass(frozen=True, slots=True)
class Moment:
    """Where in the training a batch stands.

    Args:
        step: Optimizer steps taken so far.
        epoch: From 1.
        learning_rate: Of the next step.
        is_last: Whether the optimizer steps after this batch; otherwise more are accumulated.
    """

    step: int
    epoch: int
    learning_rate: float
    is_last: bool


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """What an estimator may ask of the training around it.

    Args:
        config: Resolved.
        model: With the adapter that trains.
        folder: The run folder.
        reporter: Hears of what happens.
        rows: How many there are to train on.
        taken: Steps that the parameters have behind them: of the checkpoint that is resumed.
        undecayed: The parameters that weight decay leaves out.
        optimizer: The optimizer, once there is one.
    """

    config: Config
    model: PeftModel
    folder: RunFolder
    reporter: Reporter
    rows: int
    taken: int
    undecayed: frozenset[nn.Parameter]
    optimizer: Callable[[], torch.optim.Optimizer]


class GradientEstimator(Protocol):
    """Fills ``.grad`` of the trainable parameters from a batch's loss.

    Because only 10^4 to 10^6 numbers train, an estimated gradient fits into ``.grad`` as an exact one does,
    and every optimizer, schedule and weight decay serves both.
    """

    shares_rows: bool
    """Whether each of several processes gets a part of a batch's rows; otherwise each gets all of them."""
    averages: bool
    """Whether each of several processes fills in the gradient of its own rows, to be averaged."""

    def accumulate(
        self,
        loss: BatchLoss,
        *,
        scale: float,
        backward: Callable[[torch.Tensor], None],
        moment: Moment,
    ) -> torch.Tensor:
        """Add the gradient of ``scale * loss()`` to ``.grad``.

        Args:
            loss: The batch's loss.
            scale: One over the number of batches that one optimizer step accumulates.
            backward: Backpropagates a scalar, as the launcher in use does it.
            moment: Where the training is.

        Returns:
            ``scale * loss`` without a graph.
        """

    def summary(self) -> Mapping[str, Any] | None:
        """What the run's report says of the estimates; None of exact gradients."""

    def without(self) -> Collection[str]:
        """Which of ``loss`` and ``grad_norm`` the last step has not, whatever number stands for it."""

    def saved(self, steps: int) -> None:
        """Hear that there is a checkpoint of the present parameters, after so many steps."""

    def needed(self) -> Collection[int]:
        """Steps whose checkpoints it may yet go back to."""
