"""Sizes and places of the methods that adp and rep are compared with. Pure data, no torch.

PEFT's defaults, or those of LoRETTA's experiments where PEFT has none.
"""

from __future__ import annotations

from loretta_cli.models.families import Family

LORA_RANK = 8
VERA_RANK = 256
PROMPT_TOKENS = 10
"""LoRETTA, Table 1: its printed count is that of ten tokens."""
PREFIX_TOKENS = 5
"""MeZO, and the printed count of LoRETTA's Table 2."""
ENCODER_BOTTLENECK, DECODER_BOTTLENECK = 8, 64
"""Of dense adapters in LoRETTA's Tables 1 and 2."""

_KEY_OF_QUERY = {
    "q": "k",
    "q_lin": "k_lin",
    "q_proj": "k_proj",
    "query": "key",
    "query_proj": "key_proj",
}


def dense_bottleneck(family: Family) -> int:
    """The width of dense adapters on a model of the family."""
    return ENCODER_BOTTLENECK if family.form == "classification" else DECODER_BOTTLENECK


def keys_and_values(family: Family) -> list[str]:
    """The layers of attention that (IA)3 rescales; a fused projection stands for itself."""
    first, *others = family.rep_targets
    if not others:
        return [first]
    owner, dot, query = first.rpartition(".")
    return [f"{owner}{dot}{_KEY_OF_QUERY[query]}", *others]


def feed_forward_outputs(family: Family) -> list[str]:
    """The layers whose input (IA)3 rescales; for BERT's relatives PEFT has attention outputs among them."""
    return list(family.sites["mlp"].output)
