"""Where gradients come from. A new source is one file with an estimator, and one line here."""

from __future__ import annotations

from collections.abc import Callable

from loretta_cli.registry import Registry
from loretta_cli.training.gradients.base import BatchLoss, GradientEstimator, Moment, TrainingRun

GRADIENTS: Registry[Callable[[TrainingRun], GradientEstimator]] = Registry(
    "gradient",
    {
        "backprop": "loretta_cli.training.gradients.backprop:Backprop",
        "zo": "loretta_cli.training.gradients.starting:start_zeroth_order",
    },
)

__all__ = ["GRADIENTS", "BatchLoss", "GradientEstimator", "Moment", "TrainingRun"]
