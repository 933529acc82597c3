"""The methods: their names, one line each, and the training defaults that were measured for them.

They stand outside :mod:`tuners`, whose import registers types with PEFT: a typo must not cost a torch import.
Imports :mod:`registry` and :mod:`errors` only.
"""

from __future__ import annotations

from dataclasses import dataclass

from loretta_cli.errors import ConfigError
from loretta_cli.registry import suggest

METHODS = {
    "adp": "tensor-train adapters behind sublayers or in the MLP (LoRETTA_adp)",
    "lora": "PEFT's LoRA, for comparison",
    "rep": "tensor-train reparameterised updates of weights; they merge (LoRETTA_rep)",
}
COUNTED_ONLY = {
    "adapters": "dense bottleneck adapters at the places of adp",
    "bitfit": "every bias",
    "full": "every weight of the model",
    "ia3": "vectors on keys, values and the inner FFN activation",
    "prefix": "keys and values of virtual tokens in every block",
    "prompt": "embeddings of virtual tokens",
    "vera": "vectors on shared random matrices",
}
"""Further names that ``count-params`` takes."""
COMPARED = ("lora", "vera", "ia3", "adapters", "prefix", "prompt", "bitfit", "full")
"""What ``count-params --compare`` shows beside adp and rep."""


@dataclass(frozen=True, slots=True)
class TrainingDefaults:
    """Peak learning rate and passes over the training rows."""

    learning_rate: float
    epochs: float


# One row per (method, gradient): the best of a grid over sst2, trec and mrpc (1000 rows, 6-layer encoder) and
# sst2 on a 135M decoder; benchmarks/learning_rates.py reruns it.
DEFAULTS: dict[tuple[str, str], TrainingDefaults] = {
    ("adp", "backprop"): TrainingDefaults(learning_rate=2e-3, epochs=10),
    ("lora", "backprop"): TrainingDefaults(learning_rate=1e-3, epochs=10),
    ("rep", "backprop"): TrainingDefaults(learning_rate=5e-3, epochs=10),
}


def training_defaults(method: str, gradient: str) -> TrainingDefaults:
    """The row of a method and a gradient source."""
    return DEFAULTS[method, gradient]


def check_method(name: str, *, counting: bool = False) -> None:
    """Refuse an unknown method.

    Raises:
        ConfigError: With the nearest name and all names.
    """
    known = METHODS | COUNTED_ONLY if counting else METHODS
    if name not in known:
        found = (
            f"{name} is counted by count-params only" if name in COUNTED_ONLY else f"Unknown method {name!r}"
        )
        raise ConfigError(f"{found}.", hint=suggest(name, known, plural="methods"))
