"""MPNet. BERT without segments, with a bias of relative positions that all blocks share."""

from __future__ import annotations

from collections.abc import Iterator

from loretta_cli.models.families.base import AdapterSites, Family
from loretta_cli.models.families.bert import embeddings, feed_forward
from loretta_cli.models.families.roberta import TWO_LAYER_HEAD, two_layer_head
from loretta_cli.models.outline import Facts, Form, ModuleOutline, embedding, linear, norm


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``MPNetForSequenceClassification``."""
    hidden, heads = facts["hidden_size"], facts["num_attention_heads"]
    yield from embeddings("mpnet.embeddings", facts, hidden, segments=False)
    for index in range(facts["num_hidden_layers"]):
        block = f"mpnet.encoder.layer.{index}"
        for name in ("q", "k", "v", "o"):
            yield linear(f"{block}.attention.attn.{name}", hidden, hidden)
        yield norm(f"{block}.attention.LayerNorm", hidden)
        yield from feed_forward(block, facts)
    yield embedding("mpnet.encoder.relative_attention_bias", facts["relative_attention_num_buckets"], heads)
    yield from two_layer_head(facts, labels)


FAMILY = Family(
    name="mpnet",
    model_types=("mpnet",),
    form="classification",
    rep_targets=("attn.q", "attn.v"),
    sites={
        "sublayer": AdapterSites(output=("attn.o", "output.dense")),
        "mlp": AdapterSites(output=("output.dense",), input=("intermediate.dense",)),
    },
    paper_placement="sublayer",
    norms=("LayerNorm",),
    head=TWO_LAYER_HEAD,
    outline=outline,
)
