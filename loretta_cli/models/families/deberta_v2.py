"""DeBERTa version 2 and 3. Query, key and value are apart; version 2 has a convolution in its encoder.

Most of its options are not in the config class but in the checkpoints' config.json: keys may be absent.
"""

from __future__ import annotations

from collections.abc import Iterator

from loretta_cli.models.families.base import Family, Head
from loretta_cli.models.families.bert import ENCODER_SITES, attention_output, feed_forward
from loretta_cli.models.outline import Facts, Form, ModuleOutline, embedding, linear, norm, other


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``DebertaV2ForSequenceClassification``."""
    hidden = facts["hidden_size"]
    pooled = facts.get("pooler_hidden_size", hidden)
    yield from _embeddings("deberta.embeddings", facts)
    for index in range(facts["num_hidden_layers"]):
        block = f"deberta.encoder.layer.{index}"
        yield from _attention(f"{block}.attention.self", facts)
        yield from attention_output(block, hidden)
        yield from feed_forward(block, facts)
    yield from _beside_the_blocks("deberta.encoder", facts)
    yield linear("pooler.dense", pooled, pooled)
    yield linear("classifier", hidden, labels)


def _embeddings(prefix: str, facts: Facts) -> Iterator[ModuleOutline]:
    hidden = facts["hidden_size"]
    size = facts.get("embedding_size", hidden)
    yield embedding(f"{prefix}.word_embeddings", facts["vocab_size"], size)
    if facts["position_biased_input"]:
        yield embedding(f"{prefix}.position_embeddings", facts["max_position_embeddings"], size)
    if facts["type_vocab_size"] > 0:
        yield embedding(f"{prefix}.token_type_embeddings", facts["type_vocab_size"], size)
    if size != hidden:
        yield linear(f"{prefix}.embed_proj", size, hidden, bias=False)
    yield norm(f"{prefix}.LayerNorm", hidden)


def _attention(prefix: str, facts: Facts) -> Iterator[ModuleOutline]:
    """The projections of words, and, unless they are shared, those of relative positions."""
    hidden, heads = facts["hidden_size"], facts["num_attention_heads"]
    width = heads * facts.get("attention_head_size", hidden // heads)
    for name in ("query_proj", "key_proj", "value_proj"):
        yield linear(f"{prefix}.{name}", hidden, width)
    if facts["relative_attention"] and not facts.get("share_att_key", False):
        kinds = facts["pos_att_type"] or ()
        if "c2p" in kinds:
            yield linear(f"{prefix}.pos_key_proj", hidden, width)
        if "p2c" in kinds:
            yield linear(f"{prefix}.pos_query_proj", hidden, width)


def _beside_the_blocks(prefix: str, facts: Facts) -> Iterator[ModuleOutline]:
    """What the encoder has once: relative positions, their norm, and the convolution of version 2."""
    hidden = facts["hidden_size"]
    if facts["relative_attention"]:
        buckets, distances = facts.get("position_buckets", -1), facts["max_relative_positions"]
        if buckets <= 0:
            buckets = distances if distances > 0 else facts["max_position_embeddings"]
        yield embedding(f"{prefix}.rel_embeddings", 2 * buckets, hidden)
    if "layer_norm" in facts.get("norm_rel_ebd", "none").lower():
        yield norm(f"{prefix}.LayerNorm", hidden)
    kernel = facts.get("conv_kernel_size", 0)
    if kernel > 0:
        inputs = hidden // facts.get("conv_groups", 1)
        yield other(f"{prefix}.conv.conv", hidden * inputs * kernel + hidden, biases=hidden)
        yield norm(f"{prefix}.conv.LayerNorm", hidden)


FAMILY = Family(
    name="deberta-v2",
    model_types=("deberta-v2",),
    form="classification",
    rep_targets=("query_proj", "value_proj"),
    sites=ENCODER_SITES,
    paper_placement="sublayer",
    norms=("LayerNorm",),
    head=Head(modules=("pooler", "classifier"), output="classifier", dense="pooler.dense"),
    outline=outline,
)
