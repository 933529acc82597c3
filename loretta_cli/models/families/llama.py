"""LLaMA 1 to 3 and models of the same architecture. The paper's runs adapt the MLP only (adp)."""

from __future__ import annotations

from collections.abc import Iterator

from loretta_cli.models.families.base import AdapterSites, Family, Head, Placement
from loretta_cli.models.outline import Facts, Form, ModuleOutline, embedding, linear, norm, tied_linear

GATED_MLP_SITES: dict[Placement, AdapterSites] = {
    "mlp": AdapterSites(output=("down_proj",), input=("gate_proj", "up_proj")),
    "sublayer": AdapterSites(output=("o_proj", "down_proj")),
}


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``LlamaForCausalLM`` or ``LlamaForSequenceClassification``."""
    hidden = facts["hidden_size"]
    yield embedding("model.embed_tokens", facts["vocab_size"], hidden)
    for index in range(facts["num_hidden_layers"]):
        block = f"model.layers.{index}"
        yield from attention(f"{block}.self_attn", facts)
        yield from gated_mlp(f"{block}.mlp", facts)
        yield norm(f"{block}.input_layernorm", hidden, bias=False)
        yield norm(f"{block}.post_attention_layernorm", hidden, bias=False)
    yield norm("model.norm", hidden, bias=False)
    yield output_layer(facts, form, labels)


def attention(prefix: str, facts: Facts, *, bias: bool = False) -> Iterator[ModuleOutline]:
    """Grouped-query attention; a bias, where there is one, is on query, key and value only."""
    hidden, heads = facts["hidden_size"], facts["num_attention_heads"]
    width = facts.get("head_dim") or hidden // heads
    keys = facts.get("num_key_value_heads", heads) * width
    yield linear(f"{prefix}.q_proj", hidden, heads * width, bias=bias)
    yield linear(f"{prefix}.k_proj", hidden, keys, bias=bias)
    yield linear(f"{prefix}.v_proj", hidden, keys, bias=bias)
    yield linear(f"{prefix}.o_proj", heads * width, hidden, bias=False)


def gated_mlp(prefix: str, facts: Facts) -> Iterator[ModuleOutline]:
    """Gate, up and down projections without biases."""
    hidden, inner = facts["hidden_size"], facts["intermediate_size"]
    yield linear(f"{prefix}.gate_proj", hidden, inner, bias=False)
    yield linear(f"{prefix}.up_proj", hidden, inner, bias=False)
    yield linear(f"{prefix}.down_proj", inner, hidden, bias=False)


def output_layer(facts: Facts, form: Form, labels: int) -> ModuleOutline:
    """The score head of a classifier, or the language-model head, which may be the embedding."""
    hidden, words = facts["hidden_size"], facts["vocab_size"]
    if form == "classification":
        return linear("score", hidden, labels, bias=False)
    if facts["tie_word_embeddings"]:
        return tied_linear("lm_head", hidden, words)
    return linear("lm_head", hidden, words, bias=False)


FAMILY = Family(
    name="llama",
    model_types=("llama",),
    form="prompt",
    rep_targets=("q_proj", "v_proj"),
    sites=GATED_MLP_SITES,
    paper_placement="mlp",
    norms=("input_layernorm", "post_attention_layernorm", "norm"),
    head=Head(modules=("score",), output="score"),
    outline=outline,
)
