"""RoBERTa. Its head is one module of two linear layers, both new: ``classifier.dense`` and ``out_proj``."""

from __future__ import annotations

from collections.abc import Iterator

from loretta_cli.models.families.base import Family, Head
from loretta_cli.models.families.bert import ENCODER_SITES, blocks, embeddings
from loretta_cli.models.outline import Facts, Form, ModuleOutline, linear


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``RobertaForSequenceClassification``."""
    hidden = facts["hidden_size"]
    yield from embeddings("roberta.embeddings", facts, hidden)
    yield from blocks("roberta.encoder.layer", facts)
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
    head=Head(modules=("classifier",), output="classifier.out_proj", dense="classifier.dense"),
    outline=outline,
)
