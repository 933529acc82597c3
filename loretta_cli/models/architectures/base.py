"""What a well-known model is described by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Architecture:
    """The shape of a well-known model, from its public config.

    Args:
        model_type: ``config.model_type`` in transformers.
        settings: Keyword arguments of its config class: all that change a parameter count.
    """

    model_type: str
    settings: Mapping[str, object]
