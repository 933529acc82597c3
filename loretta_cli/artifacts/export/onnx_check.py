"""Whether onnxruntime says what torch says, on batches of a run's rows of different sizes and lengths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn

from loretta_cli.artifacts.comparison import RELATIVE_TOLERANCE, Comparison
from loretta_cli.artifacts.engines import onnx_runtime
from loretta_cli.tasks.encoding import padded

TOLERANCE = 1e-4
"""Of a logit; of large ones the share that fp32 is allowed elsewhere, if that is more."""
BATCH_SIZES = (1, 2, 5, 8)
"""Of the rows that an export is checked on, in their order; what is left over makes one more batch."""
LONGEST = 128
"""Tokens of a text that a language model is checked on: it has logits for each of them."""
POSITIONS = 16
"""Of these, the last ones are compared, which depend on all before in a causal model; and the gap, if any."""

Batch = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Reference:
    """What torch computed.

    Args:
        batches: Inputs, padded on the right.
        logits: Of each batch what is compared, ``(vectors, numbers)``.
        rows: How many texts there are in all batches.
        gap: The token that stands at the gap of each text, where the texts have one.
    """

    batches: list[Batch]
    logits: list[torch.Tensor]
    rows: int
    gap: int | None = None


@dataclass(frozen=True, slots=True)
class OnnxAgreement:
    """How onnxruntime compares with torch.

    Args:
        comparison: Of the logits.
        predictions: How many largest logits were compared; 0 where each vector has but one number.
        same: How many of them are the same.
    """

    comparison: Comparison
    predictions: int
    same: int


def input_names(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What a graph for such rows takes: tokens, the mask of padding, and segments if the model has them."""
    return ["input_ids", "attention_mask", *(["token_type_ids"] if "token_type_ids" in rows[0] else [])]


def around_gap(rows: Sequence[dict[str, Any]], mask_token_id: int) -> list[dict[str, Any]]:
    """Rows of at most :data:`LONGEST` tokens that have their gap still.

    Args:
        rows: Encoded, with a gap each.
        mask_token_id: What stands at the gap.
    """
    found = []
    for row in rows:
        ids = row["input_ids"]
        start = max(ids.index(mask_token_id) + 1 - LONGEST, 0)
        found.append({**row, "input_ids": ids[start : start + LONGEST]})
    return found


def batches(rows: Sequence[dict[str, Any]], pad_token_id: int, longest: int | None = None) -> list[Batch]:
    """Batches of :data:`BATCH_SIZES`, padded on the right.

    Args:
        rows: Encoded; of a row with a text for each option the first is taken.
        pad_token_id: Of the tokenizer.
        longest: Tokens of a text, of which the rest is cut; None for all.
    """
    starts = [0, *accumulate(BATCH_SIZES), max(len(rows), sum(BATCH_SIZES))]
    parts = [rows[start:end] for start, end in pairwise(starts)]
    return [_batch(part, pad_token_id, longest) for part in parts if part]


def _batch(rows: Sequence[dict[str, Any]], pad_token_id: int, longest: int | None) -> Batch:
    texts = [_first(row["input_ids"])[:longest] for row in rows]
    batch = padded(texts, pad_token_id, side="right")
    if "token_type_ids" in rows[0]:
        segments = [_first(row["token_type_ids"])[:longest] for row in rows]
        batch["token_type_ids"] = padded(segments, 0, side="right")["input_ids"]
    return batch


def _first(values: list[Any]) -> list[Any]:
    return values[0] if isinstance(values[0], list) else values


def reference(model: nn.Module, asked: Sequence[Batch], gap: int | None = None) -> Reference:
    """Compute in torch what :func:`agreement` asks onnxruntime for.

    Args:
        model: On the CPU, in evaluation mode.
        asked: The batches.
        gap: The token that stands at the gap of each text, where the texts have one.
    """
    with torch.inference_mode():
        found = [_compared(model(**batch).logits, batch, gap) for batch in asked]
    return Reference(list(asked), found, sum(len(batch["input_ids"]) for batch in asked), gap)


def agreement(found: Reference, model: Path) -> OnnxAgreement:
    """Ask onnxruntime, and compare.

    Args:
        found: What torch said.
        model: The ONNX file.

    Raises:
        EngineError: If onnxruntime cannot run it.
    """
    return compared(found, onnx_runtime.logits(model, found.batches))


def compared(found: Reference, answers: Iterable[torch.Tensor]) -> OnnxAgreement:
    """Compare logits of the same batches.

    Args:
        found: What torch said.
        answers: What the other said, batch by batch.
    """
    differences, same, predictions = [], 0, 0
    for here, there in _pairs(found, answers):
        differences.append((here - there).abs().max())
        if here.shape[-1] > 1:
            same += int((here.argmax(-1) == there.argmax(-1)).sum())
            predictions += len(here)
    # torch's maximum keeps a NaN in any batch; Python's would lose it.
    largest = max(float(here.abs().max()) for here in found.logits)
    tolerance = max(TOLERANCE, RELATIVE_TOLERANCE[torch.float32] * largest)
    comparison = Comparison(float(torch.stack(differences).max()), tolerance, found.rows)
    return OnnxAgreement(comparison, predictions, same)


def _pairs(found: Reference, answers: Iterable[torch.Tensor]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for batch, here, answer in zip(found.batches, found.logits, answers, strict=True):
        yield here, _compared(answer, batch, found.gap)


def _compared(logits: torch.Tensor, batch: Batch, gap: int | None) -> torch.Tensor:
    """Of a text its one vector; of tokens the last :data:`POSITIONS` that are no padding, and the gap."""
    if logits.dim() == 2:
        return logits.float()
    lengths = batch["attention_mask"].sum(dim=1).tolist()
    parts = [row[max(end - POSITIONS, 0) : end] for row, end in zip(logits, lengths, strict=True)]
    return torch.cat([*parts, *([logits[batch["input_ids"] == gap]] if gap is not None else [])]).float()
