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
from loretta_cli.tasks.forms.base import Batch, Encoded, Prediction, Row, on_device
from loretta_cli.tasks.scoring import ChooseOne, OneValue, Reading, SayTheRightOne, Scale


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
    def reading(self) -> Reading:
        """What the scores mean."""
        if self.task.kind == "regression":
            return OneValue() if self.name == "classification" else Scale(self.task.values)
        is_said = self.task.kind == "choice" and self.name == "prompt"
        return SayTheRightOne() if is_said else ChooseOne()

    def losses(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """The loss of each row of a batch, ``(rows,)``."""
        return self.reading.losses(self.scores(model, batch), batch["labels"])

    def evaluation_scores(self, model: nn.Module, rows: Sequence[Row]) -> torch.Tensor:
        """Scores ``(rows, labels)`` of some rows, fp32."""
        return self.scores(model, on_device(self.collate(rows), model))

    def predict(self, model: nn.Module, rows: Sequence[Row]) -> list[Prediction]:
        """What the model says of some rows, without gradients, in evaluation mode."""
        scores = self.evaluation_scores(model, rows).cpu()
        losses = self.reading.losses(scores, labels_of(rows)).tolist()
        values = self.reading.predictions(scores)
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
