"""Architecture facts of well-known models, from their public configs: no weights, no network, no licence.

Only what changes a parameter count stands here; every other setting is transformers' default. Imports
only the standard library, so that names can be listed and suggested at no cost.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Architecture:
    """The shape of a well-known model.

    Args:
        model_type: ``config.model_type`` in transformers.
        settings: Keyword arguments of its config class.
    """

    model_type: str
    settings: Mapping[str, object]


def _llama2(hidden: int, intermediate: int, layers: int, heads: int, kv_heads: int) -> Architecture:
    return Architecture(
        "llama",
        {
            "vocab_size": 32000,
            "hidden_size": hidden,
            "intermediate_size": intermediate,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "max_position_embeddings": 4096,
            "tie_word_embeddings": False,
        },
    )


def _roberta(hidden: int, layers: int, heads: int) -> Architecture:
    return Architecture(
        "roberta",
        {
            "vocab_size": 50265,
            "hidden_size": hidden,
            "intermediate_size": 4 * hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "max_position_embeddings": 514,
            "type_vocab_size": 1,
        },
    )


_BERT_BASE = Architecture("bert", {"vocab_size": 30522})
_DEBERTA_BASE = Architecture(
    "deberta",
    {
        "vocab_size": 50265,
        "type_vocab_size": 0,
        "relative_attention": True,
        "pos_att_type": ["c2p", "p2c"],
        "position_biased_input": False,
        "pooler_hidden_size": 768,
    },
)

ARCHITECTURES: dict[str, Architecture] = {
    "google-bert/bert-base-uncased": _BERT_BASE,
    "microsoft/deberta-base": _DEBERTA_BASE,
    "FacebookAI/roberta-base": _roberta(768, 12, 12),
    "FacebookAI/roberta-large": _roberta(1024, 24, 16),
    "meta-llama/Llama-2-7b-hf": _llama2(4096, 11008, 32, 32, 32),
    "meta-llama/Llama-2-13b-hf": _llama2(5120, 13824, 40, 40, 40),
    "meta-llama/Llama-2-70b-hf": _llama2(8192, 28672, 80, 64, 8),
}


def find_architecture(name: str) -> tuple[str, Architecture] | None:
    """The full name and the facts of a well-known model.

    Args:
        name: Its hub id in any case, or the part after the slash, with or without a final ``-hf``:
            ``llama-2-7b`` finds ``meta-llama/Llama-2-7b-hf``.
    """
    full = _SPELLINGS.get(name.casefold())
    return None if full is None else (full, ARCHITECTURES[full])


def nearest_architecture(name: str) -> str | None:
    """The full name of the well-known model that a misspelt name comes nearest to, or None."""
    near = difflib.get_close_matches(name.casefold(), _SPELLINGS, n=1, cutoff=0.7)
    return _SPELLINGS[near[0]] if near else None


def _spellings(full: str) -> tuple[str, str, str]:
    lowered = full.casefold()
    short = lowered.rpartition("/")[2]
    return lowered, short, short.removesuffix("-hf")


_SPELLINGS = {spelling: full for full in ARCHITECTURES for spelling in _spellings(full)}
