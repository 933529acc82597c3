"""The methods: their names, one line each, and the training defaults that were measured for them.

They stand outside :mod:`tuners`, whose import registers types with PEFT: a typo must not cost a torch import.
Imports :mod:`registry` and :mod:`errors` only.
"""

from __future__ import annotations

from dataclasses import dataclass

from loretta_cli.errors import ConfigError
from loretta_cli.registry import suggest

METHODS = {
    "adapters": "dense bottleneck adapters at the places of adp",
    "adp": "tensor-train adapters behind sublayers or in the MLP (LoRETTA_adp)",
    "bitfit": "every bias",
    "full": "every weight of the model",
    "head": "the classification head alone, a linear probe",
    "ia3": "vectors on keys, values and the inner FFN activation",
    "lora": "low-rank updates of weights",
    "p-tuning": "virtual tokens before the text, made by a small network",
    "prefix": "keys and values of virtual tokens in every block",
    "prompt": "embeddings of virtual tokens before the text",
    "rep": "tensor-train reparameterised updates of weights; they merge (LoRETTA_rep)",
    "vera": "vectors on shared random matrices",
}
MERGED = ("rep", "lora", "vera", "ia3", "bitfit", "full", "head")
"""Those whose effect the base weights can hold."""
MERGE_REFUSAL = (
    "An adp adapter cannot be merged: it has a nonlinearity between its projections, so no weight of the "
    "base model can hold it."
)
"""Why ``adp`` is none of them."""
COMPARED = (*("lora", "vera", "ia3", "adapters", "prefix", "prompt", "p-tuning", "bitfit", "head", "full"),)
"""What ``count-params --compare`` shows beside adp and rep."""


@dataclass(frozen=True, slots=True)
class TrainingDefaults:
    """Peak learning rate and passes over the training rows."""

    learning_rate: float
    epochs: float


# One row per (method, gradient). adp, lora and rep: the best of a grid over sst2, trec and mrpc (1000 rows,
# 6-layer encoder) and sst2 on a 135M decoder. adapters, bitfit, head and ia3: of three rates on sst2 and trec
# (600 rows, 5 epochs, scored on held-out train rows). The others are usual values, not measured. All by
# benchmarks/learning_rates.py. With zo.second_moment, a rate of zeroth order is the root mean square of what
# a step adds to each number; adp's is from one 135M decoder (docs/zeroth-order.md), others are not measured.
DEFAULTS: dict[tuple[str, str], TrainingDefaults] = {
    ("adapters", "backprop"): TrainingDefaults(learning_rate=5e-3, epochs=10),
    ("adp", "backprop"): TrainingDefaults(learning_rate=2e-3, epochs=10),
    ("bitfit", "backprop"): TrainingDefaults(learning_rate=5e-3, epochs=10),
    ("full", "backprop"): TrainingDefaults(learning_rate=5e-5, epochs=10),
    ("head", "backprop"): TrainingDefaults(learning_rate=3e-2, epochs=10),
    ("ia3", "backprop"): TrainingDefaults(learning_rate=1e-2, epochs=10),
    ("lora", "backprop"): TrainingDefaults(learning_rate=1e-3, epochs=10),
    ("p-tuning", "backprop"): TrainingDefaults(learning_rate=5e-3, epochs=10),
    ("prefix", "backprop"): TrainingDefaults(learning_rate=2e-2, epochs=10),
    ("prompt", "backprop"): TrainingDefaults(learning_rate=2e-2, epochs=10),
    ("rep", "backprop"): TrainingDefaults(learning_rate=5e-3, epochs=10),
    ("vera", "backprop"): TrainingDefaults(learning_rate=1e-2, epochs=10),
    **{(method, "zo"): TrainingDefaults(learning_rate=1e-3, epochs=20) for method in METHODS},
    ("adp", "zo"): TrainingDefaults(learning_rate=3e-3, epochs=20),
    ("rep", "zo"): TrainingDefaults(learning_rate=3e-3, epochs=20),
    ("full", "zo"): TrainingDefaults(learning_rate=1e-5, epochs=20),
}


def training_defaults(method: str, gradient: str) -> TrainingDefaults:
    """The row of a method and a gradient source."""
    return DEFAULTS[method, gradient]


def check_method(name: str) -> None:
    """Refuse an unknown method.

    Raises:
        ConfigError: With the nearest name and all names.
    """
    if name not in METHODS:
        raise ConfigError(f"Unknown method {name!r}.", hint=suggest(name, METHODS, plural="methods"))
