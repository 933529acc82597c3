"""The losses of written rows alone: of the tokens of an answer or of a text, without decoding.

Logits are far larger than anything else here (a row of 1,024 tokens has 50 million of them with a vocabulary
of 50,000), so they are computed for a bounded number of tokens at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from loretta_cli.tasks.forms.base import Prediction, Row, TaskForm, is_in_parts, on_device

MOST_TOKENS = 2048
"""Learned tokens, padding among them, whose logits are computed at once."""


def predict_losses(form: TaskForm, model: nn.Module, rows: Sequence[Row]) -> list[Prediction]:
    """The loss of each row, weighted by its tokens; no text.

    A model in parts is asked for as many batches on every process, whatever the rows.
    """
    longest = form.max_length if is_in_parts(model) else max(row["weight"] for row in rows)
    size = max(1, MOST_TOKENS // longest)
    losses: list[float] = []
    for start in range(0, len(rows), size):
        batch = form.collate(rows[start : start + size])
        losses += form.losses(model, on_device(batch, model)).tolist()
    return [Prediction("", loss, weight=row["weight"]) for row, loss in zip(rows, losses, strict=True)]
