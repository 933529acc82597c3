"""What a model card says of data, versions, licence and limits. Names nothing of this machine's folders."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loretta_cli.artifacts.data_digest import SPLITS
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.models.source import ModelSource

if TYPE_CHECKING:
    from loretta_cli.planning.plan import Plan

_LICENCE = re.compile(r"(?m)^license: *[\"']?([\w.+-]+)[\"']? *$")
_OF_EACH = {
    "train": "trained on",
    "selection": "chose the checkpoint",
    "validation": "the results above",
}


def public_name(name: str) -> str:
    """A model's or a data set's name without the folders of the machine it was trained on."""
    return Path(name).name if Path(name).is_absolute() else name


def data_section(plan: Plan, data: Mapping[str, Any]) -> str:
    """Where the rows are from, how many of each kind there are, and their checksums.

    Args:
        plan: Of the run.
        data: The section ``data`` of its report.
    """
    task, sums = plan.data.task, data["sha256"]
    lines = [
        f"{public_name(str(data['source']))}, as the task {task.name} (version {task.version}, form "
        f"{plan.form.name}, protocol {data['protocol']}), labels: {', '.join(plan.labels) or 'none'}.",
        "",
        "| rows | number | for | SHA-256 |",
        "|---|---|---|---|",
    ]
    for split in SPLITS:
        lines.append(f"| {split} | {data[f'{split}_rows']:,} | {_OF_EACH[split]} | `{sums[split]}` |")
    return "\n".join(lines) + "\n"


def made_with(run: RunFolder) -> str:
    """The versions in a sentence, as far as they are recorded."""
    try:
        known = json.loads(run.environment_file.read_text(encoding="utf-8"))
        packages = {"Python": known["python"], **known["packages"]}
        gpus = known["gpus"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    versions = ", ".join(f"{name} {version}" for name, version in packages.items() if version)
    place = f"on {', '.join(dict.fromkeys(gpus))}" if gpus else "on a CPU"
    return f"Made with {versions}, {place}."


def limits(plan: Plan, base: str) -> str:
    """What the adapter is for, what nobody checked, and the base model's licence."""
    licence = base_licence(plan.source, plan.config.model.revision)
    terms = (
        f"The base model's card names the licence {licence}, which holds for its use with this adapter too."
        if licence
        else "The licence of the base model holds for its use with this adapter too; it was not found here."
    )
    return (
        f"For {plan.data.task.name} on texts like those it was trained on, with the base model {base} only. "
        "Beyond the results above nothing was measured: neither other data or languages, nor bias, nor "
        f"safety. {terms}"
    )


def base_licence(source: ModelSource, revision: str | None) -> str | None:
    """What the head of a base model's card calls its licence; None if there is no card on this machine.

    Args:
        source: The base model.
        revision: Of a model of the hub, which is looked for in the cache alone.
    """
    card = _card(source, revision)
    try:
        text = card.read_text(encoding="utf-8") if card is not None else ""
    except (OSError, ValueError):
        return None
    head = text.split("\n---", 1)[0] if text.startswith("---") else ""
    found = _LICENCE.search(head)
    return found[1] if found else None


def _card(source: ModelSource, revision: str | None) -> Path | None:
    place = Path(source.location)
    if source.is_local:
        return (place.parent if place.is_file() else place) / "README.md"
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source.location, "README.md", revision=revision)
    return Path(found) if isinstance(found, str) else None
