"""RoBERTa. Its head is one module of two linear layers, both new: ``classifier.dense`` and ``out_proj``."""

from loretta_cli.models.families.base import Family, Head
from loretta_cli.models.families.bert import ENCODER_SITES

FAMILY = Family(
    name="roberta",
    model_types=("roberta",),
    form="classification",
    rep_targets=("query", "value"),
    sites=ENCODER_SITES,
    paper_placement="sublayer",
    norms=("LayerNorm",),
    head=Head(modules=("classifier",), output="classifier.out_proj", dense="classifier.dense"),
)
