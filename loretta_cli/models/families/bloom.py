"""BLOOM. Query, key and value are one fused ``query_key_value``, interleaved a head at a time.

rep reparameterises the whole fused projection, as the paper's runs do with DeBERTa's. The residual is added
behind ``dense`` and ``dense_4h_to_h``, so an adapter on their output stands before it, as the paper has it.
(With ``slow_but_exact``, which no published model sets, transformers reads the weights of these two layers
and calls neither: their adapters would do nothing.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from loretta_cli.models.families import llama
from loretta_cli.models.families.gpt_neox import FUSED_SITES
from loretta_cli.models.outline import Facts, Form, ModuleOutline, embedding, linear, norm


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``BloomForCausalLM`` or ``BloomForSequenceClassification``."""
    hidden = facts["hidden_size"]
    yield embedding("transformer.word_embeddings", facts["vocab_size"], hidden)
    yield norm("transformer.word_embeddings_layernorm", hidden)
    for index in range(facts["n_layer"]):
        block = f"transformer.h.{index}"
        for name in llama.BLOCK_NORMS:
            yield norm(f"{block}.{name}", hidden)
        yield linear(f"{block}.self_attention.query_key_value", hidden, 3 * hidden)
        yield linear(f"{block}.self_attention.dense", hidden, hidden)
        yield linear(f"{block}.mlp.dense_h_to_4h", hidden, 4 * hidden)
        yield linear(f"{block}.mlp.dense_4h_to_h", 4 * hidden, hidden)
    yield norm("transformer.ln_f", hidden)
    yield llama.output_layer(facts, form, labels)


FAMILY = replace(
    llama.FAMILY,
    name="bloom",
    model_types=("bloom",),
    rep_targets=("query_key_value",),
    sites=FUSED_SITES,
    norms=("word_embeddings_layernorm", *llama.BLOCK_NORMS, "ln_f"),
    outline=outline,
)
