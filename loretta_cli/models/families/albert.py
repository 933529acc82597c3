"""ALBERT. One block is run through again and again, so one adapter serves at every depth.

The embeddings are narrow and widened by a linear layer; the pooler belongs to the checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator

from loretta_cli.models.families.base import AdapterSites, Family, Head
from loretta_cli.models.families.bert import embeddings
from loretta_cli.models.outline import Facts, Form, ModuleOutline, linear, norm


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``AlbertForSequenceClassification``; ``num_hidden_layers`` does not change what it holds."""
    hidden, inner, narrow = facts["hidden_size"], facts["intermediate_size"], facts["embedding_size"]
    yield from embeddings("albert.embeddings", facts, narrow)
    yield linear("albert.encoder.embedding_hidden_mapping_in", narrow, hidden)
    for group in range(facts["num_hidden_groups"]):
        for index in range(facts["inner_group_num"]):
            block = f"albert.encoder.albert_layer_groups.{group}.albert_layers.{index}"
            yield norm(f"{block}.full_layer_layer_norm", hidden)
            for name in ("query", "key", "value", "dense"):
                yield linear(f"{block}.attention.{name}", hidden, hidden)
            yield norm(f"{block}.attention.LayerNorm", hidden)
            yield linear(f"{block}.ffn", hidden, inner)
            yield linear(f"{block}.ffn_output", inner, hidden)
    yield linear("albert.pooler", hidden, hidden)
    yield linear("classifier", hidden, labels)


FAMILY = Family(
    name="albert",
    model_types=("albert",),
    form="classification",
    rep_targets=("query", "value"),
    sites={
        "sublayer": AdapterSites(output=("attention.dense", "ffn_output")),
        "mlp": AdapterSites(output=("ffn_output",), input=("ffn",)),
    },
    paper_placement="sublayer",
    norms=("LayerNorm", "full_layer_layer_norm"),
    head=Head(modules=("classifier",), output="classifier"),
    outline=outline,
    shares_blocks=True,
)
