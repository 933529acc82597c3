"""DeBERTa (version 1). Query, key and value are one fused ``in_proj``; pooler and classifier are new."""

from loretta_cli.models.families.base import Family, Head
from loretta_cli.models.families.bert import ENCODER_SITES

FAMILY = Family(
    name="deberta",
    model_types=("deberta",),
    form="classification",
    rep_targets=("in_proj",),
    sites=ENCODER_SITES,
    paper_placement="sublayer",
    norms=("LayerNorm",),
    head=Head(modules=("pooler", "classifier"), output="classifier", dense="pooler.dense"),
)
