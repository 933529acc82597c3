"""loretta: ultra-parameter-efficient fine-tuning with tensor trains.

Importing this package imports nothing heavy. Touching one of the names below, or importing
:mod:`loretta_cli.tuners`, registers our PEFT types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from loretta_cli.tuners import LorettaAdpConfig, LorettaRepConfig

__all__ = ["LorettaAdpConfig", "LorettaRepConfig", "__version__"]


def __getattr__(name: str) -> Any:
    """Load the PEFT configs on first use."""
    if name in ("LorettaAdpConfig", "LorettaRepConfig"):
        from loretta_cli import tuners

        return getattr(tuners, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
