"""The seam between a task and the two loops: training asks for losses, evaluation for predictions.

A form turns examples into rows of token ids, rows into a batch with a loss for each row, and rows into
predictions. All losses are fp32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from loretta_cli.models.families import Form
from loretta_cli.tasks.base import Example, Task

Batch = Mapping[str, torch.Tensor]
Row = dict[str, Any]
"""An encoded example; what is in it is between the methods of one form, but ``input_ids`` is its prompt."""


def length_of(row: Row) -> int:
    """Tokens of a row's longest text."""
    ids = row["input_ids"]
    return max(map(len, ids)) if isinstance(ids[0], list) else len(ids)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Examples as token ids, in the order given.

    Args:
        rows: One mapping an example, as the form takes it; of language modelling, one a part of a text.
        shortened: How many examples were too long and lost text.
    """

    rows: tuple[Row, ...]
    shortened: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one row.

    Args:
        value: The number of a label or an option, a score, or a text.
        loss: The row's loss.
        scores: Of the labels or options, where there are some; those that chose, if they are calibrated.
        weight: Of the row in the mean loss; a training batch weighs it the same.
    """

    value: int | float | str
    loss: float
    scores: tuple[float, ...] = ()
    weight: float = 1.0

    @property
    def is_tie(self) -> bool:
        """Whether an option was chosen and another has the very same score, so that their order decided."""
        best = sorted(self.scores)[-2:]
        return isinstance(self.value, int) and len(best) == 2 and best[0] == best[1]


class TaskForm(Protocol):
    """A task as one kind of model meets it."""

    name: ClassVar[Form]

    @property
    def task(self) -> Task:
        """The task."""

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""

    @property
    def max_length(self) -> int:
        """Longest row in tokens."""

    def encode(self, examples: Sequence[Example]) -> Encoded:
        """From examples to rows.

        Raises:
            DataError: If a row cannot be made short enough.
            ConfigError: If the tokenizer cannot tell options apart.
        """

    def collate(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """From rows to a batch to train on."""

    def losses(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """The loss of each row of a batch, ``(rows,)``."""

    def predict(self, model: nn.Module, rows: Sequence[Row]) -> list[Prediction]:
        """What the model says of some rows, without gradients, in evaluation mode."""


def on_device(batch: dict[str, torch.Tensor], model: nn.Module) -> dict[str, torch.Tensor]:
    """A batch on the device of a model."""
    device = next(model.parameters()).device
    return {name: value.to(device) for name, value in batch.items()}


def is_in_parts(model: nn.Module) -> bool:
    """Whether processes share the weights (FSDP2, ZeRO-3), so that all must read equally many batches."""
    return any(isinstance(one, DTensor) or hasattr(one, "ds_id") for one in model.parameters())
