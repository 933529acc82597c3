"""DistilBERT. Its config has names of its own (dim, n_layers, hidden_dim); there is no pooler.

Both layers of the head are new: ``pre_classifier`` and ``classifier``.
"""

from __future__ import annotations

from collections.abc import Iterator

from loretta_cli.models.families.base import AdapterSites, Family, Head
from loretta_cli.models.families.bert import embeddings
from loretta_cli.models.outline import Facts, Form, ModuleOutline, linear, norm


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``DistilBertForSequenceClassification``."""
    hidden, inner = facts["dim"], facts["hidden_dim"]
    yield from embeddings("distilbert.embeddings", facts, hidden, segments=False)
    for index in range(facts["n_layers"]):
        block = f"distilbert.transformer.layer.{index}"
        for name in ("q_lin", "k_lin", "v_lin", "out_lin"):
            yield linear(f"{block}.attention.{name}", hidden, hidden)
        yield norm(f"{block}.sa_layer_norm", hidden)
        yield linear(f"{block}.ffn.lin1", hidden, inner)
        yield linear(f"{block}.ffn.lin2", inner, hidden)
        yield norm(f"{block}.output_layer_norm", hidden)
    yield linear("pre_classifier", hidden, hidden)
    yield linear("classifier", hidden, labels)


FAMILY = Family(
    name="distilbert",
    model_types=("distilbert",),
    form="classification",
    rep_targets=("q_lin", "v_lin"),
    sites={
        "sublayer": AdapterSites(output=("out_lin", "lin2")),
        "mlp": AdapterSites(output=("lin2",), input=("lin1",)),
    },
    paper_placement="sublayer",
    norms=("LayerNorm", "sa_layer_norm", "output_layer_norm"),
    head=Head(modules=("pre_classifier", "classifier"), output="classifier", dense="pre_classifier"),
    outline=outline,
)
