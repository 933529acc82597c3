"""Methods whose effect no weights of the base model can hold, and why."""

from __future__ import annotations

from loretta_cli.errors import ConfigError
from loretta_cli.methods import MERGE_REFUSAL

_BEFORE_TEXT = (
    "Virtual tokens cannot be merged: they stand before the text, and no weight of the base model can "
    "hold them."
)
REFUSALS = {
    "adapters": "Dense adapters cannot be merged: they have a nonlinearity between their projections, so no "
    "weight of the base model can hold them.",
    "adp": MERGE_REFUSAL,
    "p-tuning": _BEFORE_TEXT,
    "prefix": _BEFORE_TEXT,
    "prompt": _BEFORE_TEXT,
}
"""Methods that cannot merge, with the reason: all but those of :data:`loretta_cli.methods.MERGED`."""


def merges(method: str) -> bool:
    """Whether the base weights can hold what a method has learned."""
    return method not in REFUSALS


def check_mergeable(method: str) -> None:
    """Refuse a method whose effect no weights of the base model can hold.

    Raises:
        ConfigError: With what to do instead.
    """
    if method in REFUSALS:
        other = "" if REFUSALS[method] == _BEFORE_TEXT else " (export --format onnx makes one graph of both)"
        raise ConfigError(
            REFUSALS[method],
            hint=f"Serve the base model with the adapter{other}, or train with --method rep, which merges.",
        )
