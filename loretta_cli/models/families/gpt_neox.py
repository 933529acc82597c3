"""GPT-NeoX and Pythia. Query, key and value are one fused ``query_key_value``, interleaved a head at a time.

rep reparameterises the whole fused projection, as the paper's runs do with DeBERTa's. The output layer is
its own matrix, not the embedding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from loretta_cli.models.families import llama
from loretta_cli.models.families.base import AdapterSites, Placement
from loretta_cli.models.outline import Facts, Form, ModuleOutline, embedding, linear, norm

FUSED_SITES: dict[Placement, AdapterSites] = {
    "mlp": AdapterSites(output=("dense_4h_to_h",), input=("dense_h_to_4h",)),
    "sublayer": AdapterSites(output=("dense", "dense_4h_to_h")),
}
"""Also of BLOOM and Falcon, whose layers have the same names."""


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``GPTNeoXForCausalLM`` or ``GPTNeoXForSequenceClassification``."""
    hidden, inner = facts["hidden_size"], facts["intermediate_size"]
    bias = bool(facts.get("attention_bias", True))
    yield embedding("gpt_neox.embed_in", facts["vocab_size"], hidden)
    for index in range(facts["num_hidden_layers"]):
        block = f"gpt_neox.layers.{index}"
        for name in llama.BLOCK_NORMS:
            yield norm(f"{block}.{name}", hidden)
        yield linear(f"{block}.attention.query_key_value", hidden, 3 * hidden, bias=bias)
        yield linear(f"{block}.attention.dense", hidden, hidden, bias=bias)
        yield linear(f"{block}.mlp.dense_h_to_4h", hidden, inner)
        yield linear(f"{block}.mlp.dense_4h_to_h", inner, hidden)
    yield norm("gpt_neox.final_layer_norm", hidden)
    yield llama.output_layer(facts, form, labels)


FAMILY = replace(
    llama.FAMILY,
    name="gpt_neox",
    model_types=("gpt_neox",),
    rep_targets=("query_key_value",),
    sites=FUSED_SITES,
    norms=(*llama.BLOCK_NORMS, "final_layer_norm"),
    outline=outline,
)
