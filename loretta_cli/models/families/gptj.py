"""GPT-J. Attention and MLP of a block share one norm, and the output layer has a bias."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from loretta_cli.models.families import llama
from loretta_cli.models.families.base import AdapterSites
from loretta_cli.models.outline import Facts, Form, ModuleOutline, embedding, linear, norm


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``GPTJForCausalLM`` or ``GPTJForSequenceClassification``."""
    hidden = facts["n_embd"]
    inner = facts.get("n_inner") or 4 * hidden
    yield embedding("transformer.wte", facts["vocab_size"], hidden)
    for index in range(facts["n_layer"]):
        block = f"transformer.h.{index}"
        yield norm(f"{block}.ln_1", hidden)
        for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
            yield linear(f"{block}.attn.{name}", hidden, hidden, bias=False)
        yield linear(f"{block}.mlp.fc_in", hidden, inner)
        yield linear(f"{block}.mlp.fc_out", inner, hidden)
    yield norm("transformer.ln_f", hidden)
    yield llama.output_layer(facts, form, labels, size=hidden, bias=True)


FAMILY = replace(
    llama.FAMILY,
    name="gptj",
    model_types=("gptj",),
    sites={
        "mlp": AdapterSites(output=("fc_out",), input=("fc_in",)),
        "sublayer": AdapterSites(output=("out_proj", "fc_out")),
    },
    norms=("ln_1", "ln_f"),
    outline=outline,
)
