"""GPT-2. Its layers are transposed ones (``Conv1D``), and the output layer is the embedding.

Query, key and value are one fused ``c_attn``, which rep reparameterises as a whole, as the paper's runs do
with DeBERTa's. Two layers of a block end in ``c_proj``: the attention's output and the MLP's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from loretta_cli.models.families import llama
from loretta_cli.models.families.base import AdapterSites
from loretta_cli.models.outline import Facts, Form, ModuleOutline, embedding, linear, norm


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``GPT2LMHeadModel`` or ``GPT2ForSequenceClassification``."""
    hidden = facts["n_embd"]
    yield embedding("transformer.wte", facts["vocab_size"], hidden)
    yield embedding("transformer.wpe", facts["n_positions"], hidden)
    for index in range(facts["n_layer"]):
        yield from _block(f"transformer.h.{index}", facts)
    yield norm("transformer.ln_f", hidden)
    yield llama.output_layer(facts, form, labels, size=hidden)


def _block(prefix: str, facts: Facts) -> Iterator[ModuleOutline]:
    hidden = facts["n_embd"]
    inner = facts.get("n_inner") or 4 * hidden
    yield norm(f"{prefix}.ln_1", hidden)
    yield linear(f"{prefix}.attn.c_attn", hidden, 3 * hidden)
    yield linear(f"{prefix}.attn.c_proj", hidden, hidden)
    yield norm(f"{prefix}.ln_2", hidden)
    if facts.get("add_cross_attention", False):
        yield linear(f"{prefix}.crossattention.c_attn", hidden, 2 * hidden)
        yield linear(f"{prefix}.crossattention.q_attn", hidden, hidden)
        yield linear(f"{prefix}.crossattention.c_proj", hidden, hidden)
        yield norm(f"{prefix}.ln_cross_attn", hidden)
    yield linear(f"{prefix}.mlp.c_fc", hidden, inner)
    yield linear(f"{prefix}.mlp.c_proj", inner, hidden)


FAMILY = replace(
    llama.FAMILY,
    name="gpt2",
    model_types=("gpt2",),
    rep_targets=("attn.c_attn",),
    sites={
        "mlp": AdapterSites(output=("mlp.c_proj",), input=("mlp.c_fc",)),
        "sublayer": AdapterSites(output=("attn.c_proj", "mlp.c_proj")),
    },
    norms=("ln_1", "ln_2", "ln_f"),
    outline=outline,
    keeps_weights_as_in_out=True,
)
