"""The known model families, one file each. A new family is one file and one line here."""

from __future__ import annotations

from loretta_cli.models.families.base import AdapterSites, Family, Head, Placement
from loretta_cli.models.outline import Form
from loretta_cli.registry import Registry

FAMILIES: Registry[Family] = Registry(
    "model family",
    {
        "albert": "loretta_cli.models.families.albert:FAMILY",
        "bert": "loretta_cli.models.families.bert:FAMILY",
        "bloom": "loretta_cli.models.families.bloom:FAMILY",
        "deberta": "loretta_cli.models.families.deberta:FAMILY",
        "deberta-v2": "loretta_cli.models.families.deberta_v2:FAMILY",
        "distilbert": "loretta_cli.models.families.distilbert:FAMILY",
        "electra": "loretta_cli.models.families.electra:FAMILY",
        "falcon": "loretta_cli.models.families.falcon:FAMILY",
        "gemma": "loretta_cli.models.families.gemma:GEMMA",
        "gemma2": "loretta_cli.models.families.gemma:GEMMA2",
        "gemma3": "loretta_cli.models.families.gemma:GEMMA3",
        "gpt2": "loretta_cli.models.families.gpt2:FAMILY",
        "gpt_neox": "loretta_cli.models.families.gpt_neox:FAMILY",
        "gptj": "loretta_cli.models.families.gptj:FAMILY",
        "llama": "loretta_cli.models.families.llama:FAMILY",
        "mistral": "loretta_cli.models.families.mistral:FAMILY",
        "modernbert": "loretta_cli.models.families.modernbert:FAMILY",
        "mpnet": "loretta_cli.models.families.mpnet:FAMILY",
        "opt": "loretta_cli.models.families.opt:FAMILY",
        "phi3": "loretta_cli.models.families.phi3:FAMILY",
        "qwen2": "loretta_cli.models.families.qwen2:FAMILY",
        "qwen3": "loretta_cli.models.families.qwen3:FAMILY",
        "roberta": "loretta_cli.models.families.roberta:FAMILY",
        "t5": "loretta_cli.models.families.t5:FAMILY",
    },
)


def family_of(model_type: str | None) -> Family | None:
    """The family whose models have this ``config.model_type``, or None."""
    for name in FAMILIES:
        family = FAMILIES.get(name)
        if model_type in family.model_types:
            return family
    return None


__all__ = ["FAMILIES", "AdapterSites", "Family", "Form", "Head", "Placement", "family_of"]
