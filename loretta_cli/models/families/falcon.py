"""Falcon: 7b (one key-value head), 40b and 11b (groups of them), rw (one a head, biases, ALiBi).

Query, key and value are one fused ``query_key_value`` in all of them, which rep reparameterises as a whole,
as the paper's runs do with DeBERTa's. The norms of a block differ between them; a model has some of those
named here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from loretta_cli.models.families import llama
from loretta_cli.models.families.gpt_neox import FUSED_SITES
from loretta_cli.models.outline import Facts, Form, ModuleOutline, embedding, linear, norm

PARALLEL_NORMS = ("ln_attn", "ln_mlp")


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``FalconForCausalLM`` or ``FalconForSequenceClassification``."""
    hidden, bias = facts["hidden_size"], bool(facts["bias"])
    inner = facts.get("ffn_hidden_size") or 4 * hidden
    fused = hidden + 2 * _key_value_heads(facts) * (hidden // facts["num_attention_heads"])
    yield embedding("transformer.word_embeddings", facts["vocab_size"], hidden)
    for index in range(facts["num_hidden_layers"]):
        block = f"transformer.h.{index}"
        yield linear(f"{block}.self_attention.query_key_value", hidden, fused, bias=bias)
        yield linear(f"{block}.self_attention.dense", hidden, hidden, bias=bias)
        yield linear(f"{block}.mlp.dense_h_to_4h", hidden, inner, bias=bias)
        yield linear(f"{block}.mlp.dense_4h_to_h", inner, hidden, bias=bias)
        for name in _block_norms(facts):
            yield norm(f"{block}.{name}", hidden)
    yield norm("transformer.ln_f", hidden)
    yield llama.output_layer(facts, form, labels)


def _key_value_heads(facts: Facts) -> int:
    heads: int = facts["num_attention_heads"]
    if facts["new_decoder_architecture"]:
        return facts.get("num_kv_heads") or heads
    return 1 if facts["multi_query"] else heads


def _block_norms(facts: Facts) -> tuple[str, ...]:
    if not facts["parallel_attn"]:
        return llama.BLOCK_NORMS
    count = facts.get("num_ln_in_parallel_attn") or (2 if facts["new_decoder_architecture"] else 1)
    return PARALLEL_NORMS if count == 2 else llama.BLOCK_NORMS[:1]


FAMILY = replace(
    llama.FAMILY,
    name="falcon",
    model_types=("falcon",),
    rep_targets=("query_key_value",),
    sites=FUSED_SITES,
    norms=(*llama.BLOCK_NORMS, *PARALLEL_NORMS, "ln_f"),
    outline=outline,
)
