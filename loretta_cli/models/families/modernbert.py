"""ModernBERT. Query, key and value are one fused ``Wqkv``; ``mlp.Wi`` is gate and up projection in one.

Norms stand before the sublayers, and the first block has none before its attention. ``head`` belongs to
the masked-language-model checkpoint and stays as it is; only the output layer is new.
"""

from __future__ import annotations

from collections.abc import Iterator

from loretta_cli.models.families.base import AdapterSites, Family, Head
from loretta_cli.models.outline import Facts, Form, ModuleOutline, embedding, linear, norm


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``ModernBertForSequenceClassification``."""
    hidden, inner = facts["hidden_size"], facts["intermediate_size"]
    in_attention, in_mlp, in_norm = facts["attention_bias"], facts["mlp_bias"], facts["norm_bias"]
    yield embedding("model.embeddings.tok_embeddings", facts["vocab_size"], hidden)
    yield norm("model.embeddings.norm", hidden, bias=in_norm)
    for index in range(facts["num_hidden_layers"]):
        block = f"model.layers.{index}"
        if index > 0:
            yield norm(f"{block}.attn_norm", hidden, bias=in_norm)
        yield linear(f"{block}.attn.Wqkv", hidden, 3 * hidden, bias=in_attention)
        yield linear(f"{block}.attn.Wo", hidden, hidden, bias=in_attention)
        yield norm(f"{block}.mlp_norm", hidden, bias=in_norm)
        yield linear(f"{block}.mlp.Wi", hidden, 2 * inner, bias=in_mlp)
        yield linear(f"{block}.mlp.Wo", inner, hidden, bias=in_mlp)
    yield norm("model.final_norm", hidden, bias=in_norm)
    yield linear("head.dense", hidden, hidden, bias=facts["classifier_bias"])
    yield norm("head.norm", hidden, bias=in_norm)
    yield linear("classifier", hidden, labels)


FAMILY = Family(
    name="modernbert",
    model_types=("modernbert",),
    form="classification",
    rep_targets=("Wqkv",),
    sites={
        "sublayer": AdapterSites(output=("attn.Wo", "mlp.Wo")),
        "mlp": AdapterSites(output=("mlp.Wo",), input=("mlp.Wi",)),
    },
    paper_placement="sublayer",
    norms=("norm", "attn_norm", "mlp_norm", "final_norm"),
    head=Head(modules=("classifier",), output="classifier"),
    outline=outline,
)
