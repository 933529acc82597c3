"""T5, its version 1.1 and Flan-T5: encoder and decoder without biases; the later ones have a gated FFN.

Adapters stand in both halves, and in the decoder's attention to the encoder too. transformers says of every
T5 config that the output layer is tied to the embedding; what sets version 1.1, whose checkpoints have an
output layer of their own, apart is that its decoder's outputs are not scaled.
"""

from __future__ import annotations

from collections.abc import Iterator

from loretta_cli.models.families.base import AdapterSites, Family, Head
from loretta_cli.models.outline import Facts, Form, ModuleOutline, embedding, linear, norm, tied_linear


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``T5ForConditionalGeneration`` or ``T5ForSequenceClassification``."""
    hidden, words = facts["d_model"], facts["vocab_size"]
    prefix = "transformer." if form == "classification" else ""
    yield embedding(f"{prefix}shared", words, hidden)
    yield from stack(f"{prefix}encoder", facts, facts["num_layers"], is_decoder=False)
    decoders = facts.get("num_decoder_layers") or facts["num_layers"]
    yield from stack(f"{prefix}decoder", facts, decoders, is_decoder=True)
    if form == "classification":
        yield linear("classification_head.dense", hidden, hidden)
        yield linear("classification_head.out_proj", hidden, labels)
    elif has_own_output_layer(facts):
        yield linear("lm_head", hidden, words, bias=False)
    else:
        yield tied_linear("lm_head", hidden, words)


def has_own_output_layer(facts: Facts) -> bool:
    """Whether checkpoints of this config hold an output layer beside the embedding, as version 1.1 does."""
    return not (facts.get("scale_decoder_outputs", True) and facts["tie_word_embeddings"])


def stack(prefix: str, facts: Facts, blocks: int, *, is_decoder: bool) -> Iterator[ModuleOutline]:
    """The encoder or the decoder; only its first self-attention has a table of relative positions."""
    hidden = facts["d_model"]
    for index in range(blocks):
        layer = f"{prefix}.block.{index}.layer"
        yield from _attention(f"{layer}.0.SelfAttention", facts)
        if index == 0:
            table = f"{layer}.0.SelfAttention.relative_attention_bias"
            yield embedding(table, facts["relative_attention_num_buckets"], facts["num_heads"])
        yield norm(f"{layer}.0.layer_norm", hidden, bias=False)
        if is_decoder:
            yield from _attention(f"{layer}.1.EncDecAttention", facts)
            yield norm(f"{layer}.1.layer_norm", hidden, bias=False)
        last = 2 if is_decoder else 1
        yield from _feed_forward(f"{layer}.{last}.DenseReluDense", facts)
        yield norm(f"{layer}.{last}.layer_norm", hidden, bias=False)
    yield norm(f"{prefix}.final_layer_norm", hidden, bias=False)


def _attention(prefix: str, facts: Facts) -> Iterator[ModuleOutline]:
    hidden, width = facts["d_model"], facts["num_heads"] * facts["d_kv"]
    for name in ("q", "k", "v"):
        yield linear(f"{prefix}.{name}", hidden, width, bias=False)
    yield linear(f"{prefix}.o", width, hidden, bias=False)


def _feed_forward(prefix: str, facts: Facts) -> Iterator[ModuleOutline]:
    hidden, inner = facts["d_model"], facts["d_ff"]
    is_gated = facts["feed_forward_proj"].startswith("gated")
    for name in ("wi_0", "wi_1") if is_gated else ("wi",):
        yield linear(f"{prefix}.{name}", hidden, inner, bias=False)
    yield linear(f"{prefix}.wo", inner, hidden, bias=False)


FAMILY = Family(
    name="t5",
    model_types=("t5",),
    form="prompt",
    rep_targets=("q", "v"),
    sites={
        "sublayer": AdapterSites(output=("o", "wo")),
        # The input side is named wi or wi_0 and wi_1, so no list of names fits all variants.
        "mlp": AdapterSites(output=("wo",)),
    },
    paper_placement="sublayer",
    norms=("layer_norm", "final_layer_norm"),
    head=Head(
        modules=("classification_head",),
        output="classification_head.out_proj",
        dense="classification_head.dense",
    ),
    outline=outline,
)
