"""ELECTRA. BERT with RoBERTa's head; narrow embeddings are widened by ``embeddings_project``."""

from __future__ import annotations

from collections.abc import Iterator

from loretta_cli.models.families.base import Family
from loretta_cli.models.families.bert import ENCODER_SITES, blocks, embeddings
from loretta_cli.models.families.roberta import TWO_LAYER_HEAD, two_layer_head
from loretta_cli.models.outline import Facts, Form, ModuleOutline, linear


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``ElectraForSequenceClassification``."""
    hidden, narrow = facts["hidden_size"], facts["embedding_size"]
    yield from embeddings("electra.embeddings", facts, narrow)
    if narrow != hidden:
        yield linear("electra.embeddings_project", narrow, hidden)
    yield from blocks("electra.encoder.layer", facts)
    yield from two_layer_head(facts, labels)


FAMILY = Family(
    name="electra",
    model_types=("electra",),
    form="classification",
    rep_targets=("query", "value"),
    sites=ENCODER_SITES,
    paper_placement="sublayer",
    norms=("LayerNorm",),
    head=TWO_LAYER_HEAD,
    outline=outline,
)
