"""Evaluation of rows in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from loretta_cli.errors import DataError, TrainingError
from loretta_cli.evaluation.evaluate import RowsToScore, evaluate
from loretta_cli.models.families import Form
from loretta_cli.tasks import TASKS, Example
from loretta_cli.tasks.forms.base import Batch, Encoded
from loretta_cli.tasks.forms.options import OptionForm


class Watched(nn.Module):
    """Scores are the row's features times a weight; remembers how it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.batches: list[list[int]] = []
        self.modes: set[tuple[bool, bool]] = set()


@dataclass(frozen=True, slots=True)
class Features(OptionForm):
    """A form whose rows carry their features."""

    name: ClassVar[Form] = "classification"

    def encode(self, examples: Sequence[Example]) -> Encoded:
        raise AssertionError

    def collate(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        return {name: torch.tensor([row[name] for row in rows]) for name in ("features", "labels")} | {
            "lengths": torch.tensor([len(row["input_ids"]) for row in rows])
        }

    def scores(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        assert isinstance(model, Watched)
        model.batches.append(batch["lengths"].tolist())
        model.modes.add((model.training, torch.is_grad_enabled()))
        return batch["features"] * model.weight


TASK = replace(TASKS.get("sst2"), metrics=("accuracy", "macro_f1"))
FORM = Features(TASK, None, 0)
LABELS = [0, 0, 1, 0, 1]
LENGTHS = [5, 1, 4, 2, 3]
FEATURES = [[1.0, 0.0], [0.0, 1.0], [0.0, 2.0], [3.0, 0.0], [0.5, 0.0]]
ROWS = RowsToScore(
    [Example({}, label) for label in LABELS],
    Encoded(
        tuple(
            {"features": features, "labels": label, "input_ids": [7] * length}
            for features, label, length in zip(FEATURES, LABELS, LENGTHS, strict=True)
        ),
        0,
    ),
)


@pytest.mark.parametrize(
    ("batch_size", "batches"), [(2, [[1, 2], [3, 4], [5]]), (5, [[1, 2, 3, 4, 5]]), (64, [[1, 2, 3, 4, 5]])]
)
def test_rows_of_like_length_share_a_batch_and_come_back_in_their_order(
    batch_size: int, batches: list[list[int]]
) -> None:
    model = Watched()
    found = evaluate(model, FORM, ROWS, batch_size=batch_size)
    assert model.batches == batches
    expected = [tuple(2 * value for value in features) for features in FEATURES]
    assert [prediction.scores for prediction in found.predictions] == expected
    assert [prediction.value for prediction in found.predictions] == [0, 1, 1, 0, 0]
    wrong_minus_right = np.array([-2.0, 2.0, -4.0, -6.0, 1.0])
    assert found.metrics["loss"] == pytest.approx(np.log1p(np.exp(wrong_minus_right)).mean(), rel=1e-6)


def test_a_model_is_evaluated_without_gradients_in_evaluation_mode() -> None:
    model = Watched().train()
    evaluate(model, FORM, ROWS, batch_size=2)
    assert model.modes == {(False, False)}


def test_the_tasks_metrics_come_first_and_then_the_loss() -> None:
    found = evaluate(Watched(), FORM, ROWS, batch_size=2)
    assert list(found.metrics) == ["accuracy", "macro_f1", "loss"]
    assert found.metrics["accuracy"] == pytest.approx(3 / 5)
    assert found.ties == 0


@pytest.mark.parametrize("weight", [torch.nan, torch.inf])
def test_a_loss_that_is_not_finite_is_an_error(weight: float) -> None:
    model = Watched()
    model.weight.data.fill_(weight)
    with pytest.raises(TrainingError, match="The loss of the evaluated rows is") as caught:
        evaluate(model, FORM, ROWS, batch_size=2)
    assert "model.dtype=float32" in caught.value.hint


def test_no_rows_are_an_error_in_the_data() -> None:
    with pytest.raises(DataError, match="nothing to score"):
        evaluate(Watched(), FORM, RowsToScore([], Encoded((), 0)), batch_size=2)
