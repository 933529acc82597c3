"""What a tiny random model of a family is made of, and the sizes that all of them share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

VOCABULARY = 99
HIDDEN = 48
LAYERS = 2
LABELS = 3

USUAL_SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": 2 * HIDDEN,
    "max_position_embeddings": 40,
    "num_labels": LABELS,
    "pad_token_id": 0,
    "initializer_range": 0.2,
}
"""Under the names that most configs have."""


@dataclass(frozen=True)
class TinyFamily:
    """A tiny model of a family.

    Args:
        config: Name of its config class in transformers.
        model: Name of its model class.
        settings: Values of its config.
        task_type: PEFT's task type of that model.
        head: Prefixes of the modules that a base checkpoint lacks, so that every process draws them anew.
    """

    config: str
    model: str
    settings: Mapping[str, Any] = field(default_factory=lambda: USUAL_SIZES)
    task_type: str = "CAUSAL_LM"
    head: tuple[str, ...] = ()
