"""Holding two models against each other on real rows: the largest difference of their logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

RELATIVE_TOLERANCE = {torch.float32: 2e-5, torch.float16: 1e-2, torch.bfloat16: 6e-2}
"""Of the largest logit (at least 1): fp32 rounding, and what one cast of the weights to half costs."""
VERIFIED_ROWS = 16
MODEL_INPUTS = ("input_ids", "attention_mask", "token_type_ids", "decoder_input_ids")


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far two models are apart.

    Args:
        max_abs_difference: Largest difference of any logit of any row.
        tolerance: What is accepted.
        rows: How many rows were compared.
    """

    max_abs_difference: float
    tolerance: float
    rows: int

    @property
    def passed(self) -> bool:
        """Whether the difference is a number within the tolerance."""
        return math.isfinite(self.max_abs_difference) and self.max_abs_difference <= self.tolerance


def row_logits(model: nn.Module, rows: Sequence[dict[str, Any]]) -> list[torch.Tensor]:
    """The logits of each row, fp32 on the CPU, one row at a time so that padding plays no part.

    Of a row with a text for each option, those of the first.
    """
    device = next(model.parameters()).device
    logits = []
    model.eval()
    with torch.inference_mode():
        for row in rows:
            inputs = {
                name: torch.tensor([_first(row[name])], device=device) for name in MODEL_INPUTS if name in row
            }
            logits.append(model(**inputs).logits.float().cpu())
    return logits


def _first(values: list[Any]) -> list[Any]:
    return values[0] if isinstance(values[0], list) else values


def adapter_effect(model: Any, rows: Sequence[dict[str, Any]], logits: Sequence[torch.Tensor]) -> float:
    """The most that an adapter changes any logit; infinite in fp32, where nothing depends on it.

    Args:
        model: Base and adapter.
        rows: Encoded.
        logits: Of the rows, with the adapter.
    """
    if model.dtype not in (torch.float16, torch.bfloat16):
        return math.inf
    with model.disable_adapter():
        base = row_logits(model, rows)
    return float(torch.stack([(one - two).abs().max() for one, two in zip(base, logits, strict=True)]).max())


def compare(
    before: Sequence[torch.Tensor],
    after: Sequence[torch.Tensor],
    dtype: torch.dtype,
    *,
    effect: float = math.inf,
) -> Comparison:
    """Compare the logits of the same rows from two models.

    Args:
        before: From the first.
        after: From the second.
        dtype: The dtype of the weights, which sets the tolerance.
        effect: The most that the adapter changes a logit. No more than half of it is accepted, or what fp32
            may differ by: the tolerance of half precision would let a model without the adapter pass.
    """
    # torch's maximum keeps a NaN in any row; Python's would lose it.
    differences = torch.stack([(one - two).abs().max() for one, two in zip(before, after, strict=True)])
    scale = max(1.0, *(float(one.abs().max()) for one in before))
    least = RELATIVE_TOLERANCE[torch.float32] * scale
    tolerance = min(RELATIVE_TOLERANCE[dtype] * scale, max(effect / 2, least))
    return Comparison(float(differences.max()), tolerance, len(before))
