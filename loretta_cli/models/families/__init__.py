"""The known model families, one file each. A new family is one file and one line here."""

from __future__ import annotations

from loretta_cli.models.families.base import AdapterSites, Family, Head, Placement
from loretta_cli.models.outline import Form
from loretta_cli.registry import Registry

FAMILIES: Registry[Family] = Registry(
    "model family",
    {
        "bert": "loretta_cli.models.families.bert:FAMILY",
        "deberta": "loretta_cli.models.families.deberta:FAMILY",
        "llama": "loretta_cli.models.families.llama:FAMILY",
        "roberta": "loretta_cli.models.families.roberta:FAMILY",
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
