"""BERT. The pooler belongs to the checkpoint and stays as it is; only the output layer is new."""

from __future__ import annotations

from collections.abc import Iterator

from loretta_cli.models.families.base import AdapterSites, Family, Head, Placement
from loretta_cli.models.outline import Facts, Form, ModuleOutline, embedding, linear, norm

ENCODER_SITES: dict[Placement, AdapterSites] = {
    # "output.dense" ends the names of both the attention output and the FFN output (Houlsby placement).
    "sublayer": AdapterSites(output=("output.dense",)),
    "mlp": AdapterSites(
        output=("output.dense",), input=("intermediate.dense",), exclude=("attention.output.dense",)
    ),
}


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``BertForSequenceClassification``."""
    hidden = facts["hidden_size"]
    yield from embeddings("bert.embeddings", facts, hidden)
    yield from blocks("bert.encoder.layer", facts)
    yield linear("bert.pooler.dense", hidden, hidden)
    yield linear("classifier", hidden, labels)


def embeddings(prefix: str, facts: Facts, size: int, *, segments: bool = True) -> Iterator[ModuleOutline]:
    """Words, positions, mostly segments, and their norm, as BERT and its relatives have them."""
    yield embedding(f"{prefix}.word_embeddings", facts["vocab_size"], size)
    yield embedding(f"{prefix}.position_embeddings", facts["max_position_embeddings"], size)
    if segments:
        yield embedding(f"{prefix}.token_type_embeddings", facts["type_vocab_size"], size)
    yield norm(f"{prefix}.LayerNorm", size)


def blocks(prefix: str, facts: Facts) -> Iterator[ModuleOutline]:
    """The blocks of BERT, RoBERTa and ELECTRA."""
    hidden = facts["hidden_size"]
    for index in range(facts["num_hidden_layers"]):
        block = f"{prefix}.{index}"
        for name in ("query", "key", "value"):
            yield linear(f"{block}.attention.self.{name}", hidden, hidden)
        yield from attention_output(block, hidden)
        yield from feed_forward(block, facts)


def attention_output(block: str, hidden: int) -> Iterator[ModuleOutline]:
    """The output projection of the attention and the norm behind it."""
    yield linear(f"{block}.attention.output.dense", hidden, hidden)
    yield norm(f"{block}.attention.output.LayerNorm", hidden)


def feed_forward(block: str, facts: Facts) -> Iterator[ModuleOutline]:
    """The two layers of the FFN and the norm behind it."""
    hidden, inner = facts["hidden_size"], facts["intermediate_size"]
    yield linear(f"{block}.intermediate.dense", hidden, inner)
    yield linear(f"{block}.output.dense", inner, hidden)
    yield norm(f"{block}.output.LayerNorm", hidden)


FAMILY = Family(
    name="bert",
    model_types=("bert",),
    form="classification",
    rep_targets=("query", "value"),
    sites=ENCODER_SITES,
    paper_placement="sublayer",
    norms=("LayerNorm",),
    head=Head(modules=("classifier",), output="classifier"),
    outline=outline,
)
