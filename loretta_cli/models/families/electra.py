"""ELECTRA. BERT with RoBERTa's head; narrow embeddings are widened by ``embeddings_project``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from loretta_cli.models.families import roberta
from loretta_cli.models.families.bert import blocks, embeddings
from loretta_cli.models.outline import Facts, Form, ModuleOutline, linear


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``ElectraForSequenceClassification``."""
    hidden, narrow = facts["hidden_size"], facts["embedding_size"]
    yield from embeddings("electra.embeddings", facts, narrow)
    if narrow != hidden:
        yield linear("electra.embeddings_project", narrow, hidden)
    yield from blocks("electra.encoder.layer", facts)
    yield from roberta.two_layer_head(facts, labels)


FAMILY = replace(roberta.FAMILY, name="electra", model_types=("electra",), outline=outline)
