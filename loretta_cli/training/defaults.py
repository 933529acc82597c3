"""Learning rate and epochs where the recipe gives none: one row per (method, gradient), from measurement.

The rows come from a small grid on sst2, trec and mrpc (1000 rows each) with a 6-layer encoder, and a
look at a 135M decoder on sst2; ``benchmarks/learning_rates.py`` reruns it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrainingDefaults:
    """Peak learning rate and passes over the training rows."""

    learning_rate: float
    epochs: float


DEFAULTS: dict[tuple[str, str], TrainingDefaults] = {
    ("adp", "backprop"): TrainingDefaults(learning_rate=2e-3, epochs=10),
    ("lora", "backprop"): TrainingDefaults(learning_rate=1e-3, epochs=10),
    ("rep", "backprop"): TrainingDefaults(learning_rate=5e-3, epochs=10),
}


def training_defaults(method: str, gradient: str) -> TrainingDefaults:
    """The row of a method and a gradient source."""
    return DEFAULTS[method, gradient]
