"""DeBERTa (version 1). Query, key and value are one fused ``in_proj``; pooler and classifier are new."""

from __future__ import annotations

from collections.abc import Iterator

from loretta_cli.models.families.base import Family, Head
from loretta_cli.models.families.bert import ENCODER_SITES, attention_output, feed_forward
from loretta_cli.models.outline import Facts, Form, ModuleOutline, embedding, linear, norm, other


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``DebertaForSequenceClassification`` with relative attention in both directions."""
    hidden = facts["hidden_size"]
    positions = facts["max_position_embeddings"]
    yield embedding("deberta.embeddings.word_embeddings", facts["vocab_size"], hidden)
    if facts["position_biased_input"]:
        yield embedding("deberta.embeddings.position_embeddings", positions, hidden)
    yield norm("deberta.embeddings.LayerNorm", hidden)
    for index in range(facts["num_hidden_layers"]):
        block = f"deberta.encoder.layer.{index}"
        yield other(f"{block}.attention.self", 2 * hidden, biases=2 * hidden)
        yield linear(f"{block}.attention.self.in_proj", hidden, 3 * hidden, bias=False)
        yield linear(f"{block}.attention.self.pos_proj", hidden, hidden, bias=False)
        yield linear(f"{block}.attention.self.pos_q_proj", hidden, hidden)
        yield from attention_output(block, hidden)
        yield from feed_forward(block, facts)
    distances = facts["max_relative_positions"]
    yield embedding("deberta.encoder.rel_embeddings", 2 * (distances if distances > 0 else positions), hidden)
    yield linear("pooler.dense", hidden, hidden)
    yield linear("classifier", hidden, labels)


FAMILY = Family(
    name="deberta",
    model_types=("deberta",),
    form="classification",
    rep_targets=("in_proj",),
    sites=ENCODER_SITES,
    paper_placement="sublayer",
    norms=("LayerNorm",),
    head=Head(modules=("pooler", "classifier"), output="classifier", dense="pooler.dense"),
    outline=outline,
)
