"""OPT. Positions are learned, two rows more than the config says; the output layer is the embedding.

The 350m model has embeddings narrower than its blocks, with a projection on either side, and no last norm.
A norm of a block and the last one have the same name, ``final_layer_norm``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from loretta_cli.models.families import llama
from loretta_cli.models.families.base import AdapterSites
from loretta_cli.models.outline import Facts, Form, ModuleOutline, embedding, linear, norm

POSITION_OFFSET = 2
"""Rows of the table of positions before the first position."""


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``OPTForCausalLM`` or ``OPTForSequenceClassification``."""
    hidden = facts["hidden_size"]
    words = facts.get("word_embed_proj_dim") or hidden
    yield embedding("model.decoder.embed_tokens", facts["vocab_size"], words)
    rows = facts["max_position_embeddings"] + POSITION_OFFSET
    yield embedding("model.decoder.embed_positions", rows, hidden)
    if words != hidden:
        yield linear("model.decoder.project_out", hidden, words, bias=False)
        yield linear("model.decoder.project_in", words, hidden, bias=False)
    has_last_norm = facts.get("do_layer_norm_before", True) and not facts.get("_remove_final_layer_norm")
    if has_last_norm:
        yield from _norm("model.decoder.final_layer_norm", facts)
    for index in range(facts["num_hidden_layers"]):
        yield from _block(f"model.decoder.layers.{index}", facts)
    yield llama.output_layer(facts, form, labels, size=words)


def _block(prefix: str, facts: Facts) -> Iterator[ModuleOutline]:
    hidden, inner, bias = facts["hidden_size"], facts["ffn_dim"], bool(facts.get("enable_bias", True))
    for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
        yield linear(f"{prefix}.self_attn.{name}", hidden, hidden, bias=bias)
    yield from _norm(f"{prefix}.self_attn_layer_norm", facts)
    yield linear(f"{prefix}.fc1", hidden, inner, bias=bias)
    yield linear(f"{prefix}.fc2", inner, hidden, bias=bias)
    yield from _norm(f"{prefix}.final_layer_norm", facts)


def _norm(name: str, facts: Facts) -> Iterator[ModuleOutline]:
    if facts.get("layer_norm_elementwise_affine", True):
        yield norm(name, facts["hidden_size"])


FAMILY = replace(
    llama.FAMILY,
    name="opt",
    model_types=("opt",),
    sites={
        "mlp": AdapterSites(output=("fc2",), input=("fc1",)),
        "sublayer": AdapterSites(output=("out_proj", "fc2")),
    },
    norms=("self_attn_layer_norm", "final_layer_norm"),
    outline=outline,
)
