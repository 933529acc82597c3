"""Where gradients come from. A new source is one file with an estimator, and one line here."""

from __future__ import annotations

from loretta_cli.registry import Registry
from loretta_cli.training.gradients.base import GradientEstimator

GRADIENTS: Registry[type[GradientEstimator]] = Registry(
    "gradient", {"backprop": "loretta_cli.training.gradients.backprop:Backprop"}
)

__all__ = ["GRADIENTS", "GradientEstimator"]
