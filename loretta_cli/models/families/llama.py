"""LLaMA 1 to 3 and models of the same architecture. The paper's runs adapt the MLP only (adp)."""

from loretta_cli.models.families.base import AdapterSites, Family, Head

FAMILY = Family(
    name="llama",
    model_types=("llama",),
    form="prompt",
    rep_targets=("q_proj", "v_proj"),
    sites={
        "mlp": AdapterSites(output=("down_proj",), input=("gate_proj", "up_proj")),
        "sublayer": AdapterSites(output=("o_proj", "down_proj")),
    },
    paper_placement="mlp",
    norms=("input_layernorm", "post_attention_layernorm", "norm"),
    head=Head(modules=("score",), output="score"),
)
