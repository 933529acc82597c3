"""LLaMA 1 to 3 and models of the same architecture. The paper's runs adapt the MLP only (adp)."""

from __future__ import annotations

from collections.abc import Iterator

from loretta_cli.models.families.base import AdapterSites, Family, Head, Placement
from loretta_cli.models.outline import Facts, Form, ModuleOutline, embedding, linear, norm, tied_linear

GATED_MLP_SITES: dict[Placement, AdapterSites] = {
    "mlp": AdapterSites(output=("down_proj",), input=("gate_proj", "up_proj")),
    "sublayer": AdapterSites(output=("o_proj", "down_proj")),
}

BLOCK_NORMS = ("input_layernorm", "post_attention_layernorm")
HEAD_NORMS = ("q_norm", "k_norm")


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``LlamaForCausalLM`` or ``LlamaForSequenceClassification``."""
    return decoder(facts, form, labels)


def decoder(
    facts: Facts,
    form: Form,
    labels: int,
    *,
    qkv_bias: bool = False,
    head_norms: bool = False,
    block_norms: tuple[str, ...] = BLOCK_NORMS,
) -> Iterator[ModuleOutline]:
    """A model of LLaMA and its relatives.

    Args:
        facts: Its config.
        form: Which head it has.
        labels: Labels of a classification head.
        qkv_bias: Whether query, key and value have biases and the output projection has none.
        head_norms: Whether queries and keys are normalised, a head at a time.
        block_norms: Names of the norms of a block that are as wide as the model.
    """
    hidden = facts["hidden_size"]
    yield embedding("model.embed_tokens", facts["vocab_size"], hidden)
    for index in range(facts["num_hidden_layers"]):
        block = f"model.layers.{index}"
        yield from attention(f"{block}.self_attn", facts, qkv_bias=qkv_bias, head_norms=head_norms)
        yield from gated_mlp(f"{block}.mlp", facts)
        for name in block_norms:
            yield norm(f"{block}.{name}", hidden, bias=False)
    yield norm("model.norm", hidden, bias=False)
    yield output_layer(facts, form, labels)


def attention(
    prefix: str, facts: Facts, *, qkv_bias: bool = False, head_norms: bool = False
) -> Iterator[ModuleOutline]:
    """Grouped-query attention; ``attention_bias`` in a config is a bias on all four projections."""
    hidden, heads = facts["hidden_size"], facts["num_attention_heads"]
    width = facts.get("head_dim") or hidden // heads
    keys = (facts.get("num_key_value_heads") or heads) * width
    bias = bool(facts.get("attention_bias", False))
    yield linear(f"{prefix}.q_proj", hidden, heads * width, bias=bias or qkv_bias)
    yield linear(f"{prefix}.k_proj", hidden, keys, bias=bias or qkv_bias)
    yield linear(f"{prefix}.v_proj", hidden, keys, bias=bias or qkv_bias)
    yield linear(f"{prefix}.o_proj", heads * width, hidden, bias=bias)
    if head_norms:
        for name in HEAD_NORMS:
            yield norm(f"{prefix}.{name}", width, bias=False)


def gated_mlp(prefix: str, facts: Facts) -> Iterator[ModuleOutline]:
    """Gate, up and down projections, with biases only where a config has ``mlp_bias``."""
    hidden, inner = facts["hidden_size"], facts["intermediate_size"]
    bias = bool(facts.get("mlp_bias", False))
    yield linear(f"{prefix}.gate_proj", hidden, inner, bias=bias)
    yield linear(f"{prefix}.up_proj", hidden, inner, bias=bias)
    yield linear(f"{prefix}.down_proj", inner, hidden, bias=bias)


def output_layer(
    facts: Facts, form: Form, labels: int, *, size: int | None = None, bias: bool = False
) -> ModuleOutline:
    """The score head of a classifier, or the language-model head, which may be the embedding.

    Args:
        facts: The config.
        form: Which of the two.
        labels: Labels of a classifier.
        size: Width of the last hidden state; ``hidden_size`` if None.
        bias: Whether the language-model head has a bias; score heads have none.
    """
    hidden, words = size or facts["hidden_size"], facts["vocab_size"]
    if form == "classification":
        return linear("score", hidden, labels, bias=False)
    if facts["tie_word_embeddings"]:
        return tied_linear("lm_head", hidden, words, bias=bias)
    return linear("lm_head", hidden, words, bias=bias)


FAMILY = Family(
    name="llama",
    model_types=("llama",),
    form="prompt",
    rep_targets=("q_proj", "v_proj"),
    sites=GATED_MLP_SITES,
    paper_placement="mlp",
    norms=(*BLOCK_NORMS, "norm"),
    head=Head(modules=("score",), output="score"),
    outline=outline,
)
