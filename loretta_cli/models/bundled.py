"""Finding a well-known model by any of its names. Imports only the standard library and the tables."""

from __future__ import annotations

import difflib

from loretta_cli.models.architectures import ARCHITECTURES, Architecture


def find_architecture(name: str) -> tuple[str, Architecture] | None:
    """The full name and the facts of a well-known model.

    Args:
        name: Its hub id in any case, or the part after the slash, with or without a final ``-hf``:
            ``llama-2-7b`` finds ``meta-llama/Llama-2-7b-hf``.
    """
    full = _SPELLINGS.get(name.casefold())
    return None if full is None else (full, ARCHITECTURES[full])


def nearest_architectures(name: str) -> list[str]:
    """The full names of the well-known models that a misspelt name comes nearest to: at most three."""
    near = difflib.get_close_matches(name.casefold(), _SPELLINGS, n=6, cutoff=0.7)
    return list(dict.fromkeys(_SPELLINGS[spelling] for spelling in near))[:3]


def _spellings(full: str) -> tuple[str, str, str]:
    lowered = full.casefold()
    short = lowered.rpartition("/")[2]
    return lowered, short, short.removesuffix("-hf")


_SPELLINGS = {spelling: full for full in ARCHITECTURES for spelling in _spellings(full)}
