"""Sizes and places of the methods that adp and rep are compared with. Pure data, no torch.

PEFT's defaults, or those of LoRETTA's experiments where PEFT has none.
"""

from __future__ import annotations

from loretta_cli.models.families import Family

LORA_RANK = 8
VERA_RANK = 256
VIRTUAL_TOKENS = {"p-tuning": 20, "prefix": 5, "prompt": 10}
"""``prompt``: the count printed in LoRETTA's Table 1 is that of ten; ``prefix``: MeZO, LoRETTA's Table 2."""
PREFIX_ENCODERS = ("bert", "electra", "roberta")
"""Families of encoders that take keys and values from outside, as prefix tuning needs it."""
ENCODER_BOTTLENECK, DECODER_BOTTLENECK = 8, 64
"""Of dense adapters in LoRETTA's Tables 1 and 2."""

_KEY_OF_QUERY = {
    "q": "k",
    "q_lin": "k_lin",
    "q_proj": "k_proj",
    "query": "key",
    "query_proj": "key_proj",
}


def dense_bottleneck(family: Family | None) -> int:
    """The width of dense adapters on a model of the family, or of none that is known."""
    is_encoder = family is None or family.form == "classification"
    return ENCODER_BOTTLENECK if is_encoder else DECODER_BOTTLENECK


def virtual_tokens(method: str, asked: int | None) -> int:
    """How many virtual tokens a method puts before a text: as asked, its default, or none."""
    return asked or VIRTUAL_TOKENS[method] if method in VIRTUAL_TOKENS else 0


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
