"""Phi-3, 3.5 and 4. Query, key and value are one fused ``qkv_proj``, gate and up one ``gate_up_proj``.

rep reparameterises the whole fused projection, keys included, as the paper's runs do with DeBERTa's; adp
of the placement ``mlp`` has one adapter before the fused gate and up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from loretta_cli.models.families import llama
from loretta_cli.models.families.base import AdapterSites
from loretta_cli.models.outline import Facts, Form, ModuleOutline, embedding, linear, norm


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``Phi3ForCausalLM`` or ``Phi3ForSequenceClassification``."""
    hidden, inner, heads = facts["hidden_size"], facts["intermediate_size"], facts["num_attention_heads"]
    width = facts.get("head_dim") or hidden // heads
    keys = (facts.get("num_key_value_heads") or heads) * width
    yield embedding("model.embed_tokens", facts["vocab_size"], hidden)
    for index in range(facts["num_hidden_layers"]):
        block = f"model.layers.{index}"
        yield linear(f"{block}.self_attn.o_proj", heads * width, hidden, bias=False)
        yield linear(f"{block}.self_attn.qkv_proj", hidden, heads * width + 2 * keys, bias=False)
        yield linear(f"{block}.mlp.gate_up_proj", hidden, 2 * inner, bias=False)
        yield linear(f"{block}.mlp.down_proj", inner, hidden, bias=False)
        for name in llama.BLOCK_NORMS:
            yield norm(f"{block}.{name}", hidden, bias=False)
    yield norm("model.norm", hidden, bias=False)
    yield llama.output_layer(facts, form, labels)


FAMILY = replace(
    llama.FAMILY,
    name="phi3",
    model_types=("phi3",),
    rep_targets=("qkv_proj",),
    sites={
        "mlp": AdapterSites(output=("down_proj",), input=("gate_up_proj",)),
        "sublayer": AdapterSites(output=("o_proj", "down_proj")),
    },
    outline=outline,
)
