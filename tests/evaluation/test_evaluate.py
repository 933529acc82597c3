"""Evaluation of rows in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from loretta_cli.evaluation.evaluate import evaluate_rows, score_rows
from loretta_cli.tasks.scoring import Batch


class Watched(nn.Module):
    """Scores are the row's features times a weight; remembers how it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.batches: list[int] = []
        self.modes: set[tuple[bool, bool]] = set()


def scorer(model: nn.Module, batch: Batch) -> torch.Tensor:
    assert isinstance(model, Watched)
    model.batches.append(len(batch["labels"]))
    model.modes.add((model.training, torch.is_grad_enabled()))
    return batch["features"] * model.weight


def collate(rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor([row[name] for row in rows]) for name in ("features", "labels")}


ROWS = [
    {"features": [1.0, 0.0], "labels": 0},
    {"features": [0.0, 1.0], "labels": 0},
    {"features": [0.0, 2.0], "labels": 1},
    {"features": [3.0, 0.0], "labels": 0},
    {"features": [0.5, 0.0], "labels": 1},
]


@pytest.mark.parametrize(("batch_size", "batches"), [(2, [2, 2, 1]), (5, [5]), (64, [5])])
def test_scores_labels_and_loss_do_not_depend_on_the_batch_size(batch_size: int, batches: list[int]) -> None:
    model = Watched()
    scores, labels, loss = score_rows(model, scorer, ROWS, collate, batch_size)
    assert model.batches == batches
    np.testing.assert_allclose(scores, [[2, 0], [0, 2], [0, 4], [6, 0], [1, 0]])
    assert labels.tolist() == [0, 0, 1, 0, 1]
    wrong_minus_right = np.array([-2.0, 2.0, -4.0, -6.0, 1.0])
    assert loss == pytest.approx(np.log1p(np.exp(wrong_minus_right)).mean(), rel=1e-6)


def test_a_model_is_evaluated_without_gradients_in_evaluation_mode() -> None:
    model = Watched().train()
    score_rows(model, scorer, ROWS, collate, 2)
    assert model.modes == {(False, False)}


def test_the_named_metrics_come_with_the_loss() -> None:
    values = evaluate_rows(Watched(), scorer, ROWS, collate, metrics=("accuracy", "macro_f1"), batch_size=2)
    assert list(values) == ["accuracy", "macro_f1", "loss"]
    assert values["accuracy"] == pytest.approx(3 / 5)
    assert values["loss"] == pytest.approx(score_rows(Watched(), scorer, ROWS, collate, 5)[2])
