"""Scoring a split outside training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from loretta_cli.evaluation.metrics import compute_metrics
from loretta_cli.processes import from_all, processes
from loretta_cli.tasks.scoring import Scorer, scores_loss


def score_rows(
    model: nn.Module,
    scorer: Scorer,
    rows: Sequence[dict[str, Any]],
    collate: Callable[[Sequence[dict[str, Any]]], dict[str, torch.Tensor]],
    batch_size: int,
) -> tuple[NDArray[np.float32], NDArray[np.int64], float]:
    """Scores ``(rows, labels)``, true labels ``(rows,)`` and the mean loss, without gradients."""
    device = next(model.parameters()).device
    model.eval()
    scores, labels, loss = [], [], 0.0
    with torch.inference_mode():
        for start in range(0, len(rows), batch_size):
            batch = {
                name: value.to(device) for name, value in collate(rows[start : start + batch_size]).items()
            }
            batch_scores = scorer(model, batch)
            loss += float(scores_loss(batch_scores, batch["labels"])) * len(batch["labels"])
            scores.append(batch_scores.cpu().numpy())
            labels.append(batch["labels"].cpu().numpy())
    return np.concatenate(scores), np.concatenate(labels), loss / len(rows)


def evaluate_rows(
    model: nn.Module,
    scorer: Scorer,
    rows: Sequence[dict[str, Any]],
    collate: Callable[[Sequence[dict[str, Any]]], dict[str, torch.Tensor]],
    *,
    metrics: Sequence[str],
    batch_size: int,
) -> dict[str, float]:
    """The named metrics and ``loss`` of some rows; several processes share them, and all get the result."""
    mine = processes()
    share = rows[mine.rank :: mine.count]
    scored = [score_rows(model, scorer, share, collate, batch_size)] if share else []
    parts = [part for one in from_all(scored) for part in one]
    scores, labels = (np.concatenate([part[index] for part in parts]) for index in (0, 1))
    loss = sum(part[2] * len(part[1]) for part in parts) / len(rows)
    return {**compute_metrics(metrics, scores, labels), "loss": loss}
