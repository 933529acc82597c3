"""BERT. The pooler belongs to the checkpoint and stays as it is; only the output layer is new."""

from loretta_cli.models.families.base import AdapterSites, Family, Head, Placement

ENCODER_SITES: dict[Placement, AdapterSites] = {
    # "output.dense" ends the names of both the attention output and the FFN output (Houlsby placement).
    "sublayer": AdapterSites(output=("output.dense",)),
    "mlp": AdapterSites(
        output=("output.dense",), input=("intermediate.dense",), exclude=("attention.output.dense",)
    ),
}

FAMILY = Family(
    name="bert",
    model_types=("bert",),
    form="classification",
    rep_targets=("query", "value"),
    sites=ENCODER_SITES,
    paper_placement="sublayer",
    norms=("LayerNorm",),
    head=Head(modules=("classifier",), output="classifier"),
)
