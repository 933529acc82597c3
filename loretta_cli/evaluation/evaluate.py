"""Scoring rows, in training and outside of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from loretta_cli.errors import DataError, TrainingError
from loretta_cli.evaluation.metrics import compute_metrics
from loretta_cli.processes import from_all, processes
from loretta_cli.tasks import Example
from loretta_cli.tasks.forms import Encoded, Prediction, Row, TaskForm, length_of, predict_losses


class NotFiniteError(TrainingError):
    """The loss of the evaluated rows is not finite, so their scores mean nothing."""


Predict = Callable[[nn.Module, Sequence[Row]], list[Prediction]]


@dataclass(frozen=True, slots=True)
class RowsToScore:
    """Checked rows with their token ids, in the same order.

    Args:
        examples: The rows.
        encoded: Their token ids.
    """

    examples: Sequence[Example]
    encoded: Encoded


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation found.

    Args:
        metrics: The task's metrics, the main one first, and ``loss``.
        predictions: One a row, in the order of the rows.
        shortened: How many examples were too long and were truncated.
    """

    metrics: Mapping[str, float]
    predictions: Sequence[Prediction]
    shortened: int

    @property
    def ties(self) -> int:
        """How many rows have two best options with the very same score."""
        return sum(prediction.is_tie for prediction in self.predictions)


def encode(form: TaskForm, examples: Sequence[Example]) -> RowsToScore:
    """Rows with their token ids.

    Raises:
        DataError: If a row cannot be made short enough.
        ConfigError: If the options of a prompt cannot be told apart.
    """
    return RowsToScore(examples, form.encode(examples))


def evaluate(
    model: nn.Module, form: TaskForm, rows: RowsToScore, *, batch_size: int, only_loss: bool = False
) -> Evaluation:
    """Predict every row and compute the task's metrics; several processes share the rows, all get the result.

    Rows of like length go into one batch.

    Args:
        model: The model; left in evaluation mode.
        form: How it meets the task.
        rows: The rows.
        batch_size: Rows in a batch.
        only_loss: Leave out metrics for which texts would have to be generated.

    Raises:
        DataError: If there is nothing to score.
        NotFiniteError: If the loss is not finite.
    """
    is_written = form.task.kind == "generation"
    without_texts = is_written and (only_loss or not form.task.writes)
    only_losses = is_written and only_loss
    predict: Predict = partial(predict_losses, form) if without_texts else form.predict
    model.eval()
    lengths = [length_of(row) for row in rows.encoded.rows]
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    mine = processes()
    # All processes do as many forward passes, which a model in parts needs: the last ones repeat a row.
    rounds = -(-len(order) // mine.count)
    share = [order[min(number * mine.count + mine.rank, len(order) - 1)] for number in range(rounds)]
    found: dict[int, Prediction] = {}
    with torch.inference_mode():
        for start in range(0, len(share), batch_size):
            places = share[start : start + batch_size]
            found |= zip(places, predict(model, [rows.encoded.rows[place] for place in places]), strict=True)
    everyone = {place: prediction for part in from_all(found) for place, prediction in part.items()}
    predictions = [everyone[place] for place in range(len(order))]
    values = [prediction.value for prediction in predictions]
    loss = _mean_loss(predictions)
    metrics = {} if only_losses else compute_metrics(form.task, rows.examples, values, loss)
    return Evaluation({**metrics, "loss": loss}, predictions, rows.encoded.shortened)


def _mean_loss(predictions: Sequence[Prediction]) -> float:
    """The weighted mean of the rows' losses.

    Raises:
        DataError: If there is nothing to score.
        NotFiniteError: If it is not finite.
    """
    weight = sum(prediction.weight for prediction in predictions)
    if not weight:
        raise DataError("There is nothing to score.", hint="Give rows with at least two tokens of text.")
    loss = sum(prediction.loss * prediction.weight for prediction in predictions) / weight
    if not math.isfinite(loss):
        raise NotFiniteError(
            f"The loss of the evaluated rows is {loss}, so their scores mean nothing.",
            hint="Use model.dtype=float32; after a training, also lower training.learning_rate.",
        )
    return loss
