"""Adding an update to a weight, and what of it the cast to half precision loses."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

import torch

from loretta_cli.artifacts.merging.updates import Update


@dataclass(slots=True)
class LostShare:
    """What casts lose of the updates, as shares of their norms.

    Args:
        layers: Name of the layer to ``|cast(W + D) - (W + D)| / |D|``, for matrices that are cast to half
            precision and an update that is not zero.
    """

    layers: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any] | None:
        """Mean, worst and its layer; None where there is nothing to tell."""
        if not self.layers:
            return None
        worst = max(self.layers, key=lambda name: self.layers[name])
        mean = statistics.fmean(self.layers.values())
        return {"mean": mean, "worst": self.layers[worst], "worst_layer": worst}

    def in_words(self) -> str:
        """For tables and cards; empty where there is nothing to tell."""
        found = self.as_json()
        if found is None:
            return ""
        return f"{found['mean']:.1%} on average, {found['worst']:.1%} in {found['worst_layer']}"


def add(tensor: torch.Tensor, update: Update, dtype: torch.dtype, lost: LostShare) -> torch.Tensor:
    """A base tensor with its update: summed in fp32 (or wider), cast once.

    Args:
        tensor: The base tensor.
        update: What is added to it.
        dtype: To cast to.
        lost: Is told what the cast loses.
    """
    change = update.of(tensor)
    size = float(change.norm())
    total = change.add_(tensor)
    result = total.to(dtype)
    if dtype.itemsize < torch.float32.itemsize and update.part == "weight" and size > 0:
        lost.layers[update.layer] = float(total.sub_(result).norm()) / size
    return result
