"""What goes along with merged weights: config, generation config, tokenizer, the base's card and licence."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers.utils import GENERATION_CONFIG_NAME, cached_file

from loretta_cli.artifacts.files import write_text
from loretta_cli.models.source import ModelSource
from loretta_cli.planning.plan import Plan

BASE_CARD = "BASE_MODEL_CARD.md"
_CARD = "README.md"
_LICENCES = ("LICENSE", "LICENCE", "NOTICE", "USE_POLICY")
_LICENCE_FIELDS = ("license", "license_name", "license_link")


def write_config(plan: Plan, model: Any, dtype: torch.dtype, folder: Path) -> None:
    """Write the config of a merged model as ``save_pretrained`` does, and how it generates.

    Args:
        plan: Of the run.
        model: The model; on the meta device will do.
        dtype: Of its weights.
        folder: Where to.
    """
    model.config.dtype = str(dtype).removeprefix("torch.")
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    if model.can_generate():
        stored = _of_base(plan, GENERATION_CONFIG_NAME)
        if stored is None:
            model.generation_config.save_pretrained(folder)
        else:
            shutil.copyfile(stored, folder / GENERATION_CONFIG_NAME)


def write_tokenizer(plan: Plan, folder: Path) -> None:
    """Write the tokenizer of a run with its chat template."""
    plan.form.tokenizer.save_pretrained(folder)


def take_base_papers(plan: Plan, folder: Path) -> dict[str, str]:
    """Put the card of the base model beside a merged one, and its licence where it came with one.

    Args:
        plan: Of the run.
        folder: Of the merged model.

    Returns:
        What the head of the base's card says of its licence.
    """
    if plan.source.gguf_file is not None:
        return {}  # what lies beside a single file may belong to anything
    if plan.source.is_local:
        for file in Path(plan.source.location).iterdir():
            if file.is_file() and file.name.upper().startswith(_LICENCES):
                shutil.copyfile(file, folder / file.name)
    card = _of_base(plan, _CARD)
    if card is None:
        return {}
    text = card.read_text(encoding="utf-8", errors="replace")
    write_text(folder / BASE_CARD, text)
    return _licence(text)


def _licence(card: str) -> dict[str, str]:
    parts = card.split("---\n", 2)
    if parts[0].strip() or len(parts) < 3:
        return {}
    try:
        head = yaml.safe_load(parts[1])
    except yaml.YAMLError:
        return {}
    if not isinstance(head, dict):
        return {}
    return {name: head[name] for name in _LICENCE_FIELDS if isinstance(head.get(name), str)}


def _of_base(plan: Plan, name: str) -> Path | None:
    """A file that stands beside the base's weights, or None; one that cannot be had now is none."""
    source: ModelSource = plan.source
    try:
        found = cached_file(
            source.location,
            name,
            revision=plan.config.model.revision,
            _raise_exceptions_for_gated_repo=False,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
    except (OSError, ValueError):
        return None
    return None if found is None else Path(found)
