"""RoBERTa. Its head is one module of two linear layers, both new: ``classifier.dense`` and ``out_proj``."""

from __future__ import annotations

from collections.abc import Iterator

from loretta_cli.models.families.base import Family, Head
from loretta_cli.models.families.bert import ENCODER_SITES, blocks, embeddings
from loretta_cli.models.outline import Facts, Form, ModuleOutline, linear

TWO_LAYER_HEAD = Head(modules=("classifier",), output="classifier.out_proj", dense="classifier.dense")


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``RobertaForSequenceClassification``."""
    yield from embeddings("roberta.embeddings", facts, facts["hidden_size"])
    yield from blocks("roberta.encoder.layer", facts)
    yield from two_layer_head(facts, labels)


def two_layer_head(facts: Facts, labels: int) -> Iterator[ModuleOutline]:
    """The head of RoBERTa, MPNet and ELECTRA."""
    hidden = facts["hidden_size"]
    yield linear("classifier.dense", hidden, hidden)
    yield linear("classifier.out_proj", hidden, labels)


FAMILY = Family(
    name="roberta",
    model_types=("roberta",),
    form="classification",
    rep_targets=("query", "value"),
    sites=ENCODER_SITES,
    paper_placement="sublayer",
    norms=("LayerNorm",),
    head=TWO_LAYER_HEAD,
    outline=outline,
)
