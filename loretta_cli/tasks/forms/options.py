"""What the forms share in which labels or options get scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from loretta_cli.models.families import Form
from loretta_cli.tasks.base import Example, Task
from loretta_cli.tasks.forms.base import Batch, Encoded, Prediction, Row, is_in_parts, on_device
from loretta_cli.tasks.scoring import (
    ExpectedScore,
    Objective,
    OptionCrossEntropy,
    SquaredError,
    TeacherForcing,
)


@dataclass(frozen=True, slots=True)
class OptionForm(ABC):
    """A form that scores labels or options.

    Args:
        task: The task.
        tokenizer: The model's tokenizer.
        max_length: Longest row in tokens.
    """

    name: ClassVar[Form]
    task: Task
    tokenizer: Any
    max_length: int

    @abstractmethod
    def encode(self, examples: Sequence[Example]) -> Encoded:
        """From examples to rows, each with its ``labels``."""

    @abstractmethod
    def collate(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """From rows to a batch to train on, with ``labels`` ``(rows,)``."""

    @abstractmethod
    def scores(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Scores ``(rows, labels)`` of a batch, fp32."""

    @property
    def objective(self) -> Objective:
        """What the scores mean."""
        if self.task.kind == "regression":
            return SquaredError() if self.name == "classification" else ExpectedScore(self.task.values)
        is_said = self.task.kind == "choice" and self.name == "prompt"
        return TeacherForcing() if is_said else OptionCrossEntropy()

    def losses(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """The loss of each row of a batch, ``(rows,)``."""
        return self.objective.losses(self.scores(model, batch), batch["labels"])

    def evaluation_scores(self, model: nn.Module, rows: Sequence[Row]) -> torch.Tensor:
        """Scores ``(rows, labels)`` of some rows, fp32."""
        return self.scores(model, on_device(self.collate(rows), model))

    def scores_apart(self, model: nn.Module, apart: Sequence[Row], counts: Sequence[int]) -> torch.Tensor:
        """Scores ``(rows, most options)``, fp32; no more texts are read at once than there are rows.

        Args:
            model: The model.
            apart: The rows, taken apart into rows of one option each.
            counts: How many each row makes.
        """
        most = len(apart) if is_in_parts(model) else len(counts)
        parts = [apart[start : start + most] for start in range(0, len(apart), most)]
        scores = [self.scores(model, on_device(self.collate(part), model))[:, 0] for part in parts]
        return by_row(torch.cat(scores), torch.tensor(counts))

    def scores_to_choose_by(
        self, model: nn.Module, rows: Sequence[Row], scores: torch.Tensor
    ) -> torch.Tensor:
        """What predictions are made from: the scores, if they are not calibrated."""
        return scores

    def predict(self, model: nn.Module, rows: Sequence[Row]) -> list[Prediction]:
        """What the model says of some rows, without gradients, in evaluation mode.

        The losses are those of the scores as they are, as in training.
        """
        scores = self.evaluation_scores(model, rows)
        losses = self.objective.losses(scores.cpu(), labels_of(rows)).tolist()
        scores = self.scores_to_choose_by(model, rows, scores).cpu()
        values = self.objective.predictions(scores)
        return [
            Prediction(value, loss, tuple(row))
            for value, loss, row in zip(values, losses, scores.tolist(), strict=True)
        ]


def labels_of(rows: Sequence[Row]) -> torch.Tensor:
    """The labels of rows, ``(rows,)``: numbers of labels or options, or scores."""
    return torch.tensor([row["labels"] for row in rows])


def by_row(scores: torch.Tensor, options: torch.Tensor) -> torch.Tensor:
    """Scores of all options ``(options of all rows,)`` as ``(rows, most options)``.

    Args:
        scores: One number an option, row by row.
        options: How many each row has; what a row does not have scores minus infinity.
    """
    rows = torch.split(scores, options.tolist())
    return pad_sequence(list(rows), batch_first=True, padding_value=-torch.inf)
