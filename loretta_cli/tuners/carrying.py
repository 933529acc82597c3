"""Taking the tensors of a saved adapter into another, with or without its classification head."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from peft import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file

from loretta_cli.errors import RunError
from loretta_cli.models.families import family_of
from loretta_cli.models.inspection import head_modules


def carry_over(model: Any, folder: Path, *, with_head: bool) -> None:
    """Give an adapter the tensors of a saved one.

    Args:
        model: A ``PeftModel``; changed in place.
        folder: The saved adapter, of the same method and settings.
        with_head: Whether the tensors of the classification head are taken too.

    Raises:
        RunError: If the saved adapter is broken, or lacks a tensor that is to be taken.
    """
    try:
        saved = load_file(folder / "adapter_model.safetensors")
    except Exception as error:  # safetensors has kinds of its own
        raise RunError(f"The adapter in {folder} cannot be read: {error}") from error
    family = family_of(model.config.model_type)
    head = family.head.modules if family is not None else head_modules(model.get_base_model())
    own = get_peft_model_state_dict(model, save_embedding_layers=False)
    taken = {name: value for name, value in saved.items() if with_head or not _is_below(name, head)}
    kept = {name for name in own if not with_head and _is_below(name, head)}
    wrong = [name for name in own if name not in kept and _shape(taken.get(name)) != _shape(own[name])]
    if wrong:
        raise RunError(
            f"The adapter in {folder} does not fit: {wrong[0]} is missing or has another size.",
            hint="It was trained with other settings, or on another base model.",
        )
    # PEFT looks up every tensor of a head, those that stay as they are too.
    set_peft_model_state_dict(model, {**own, **taken})


def _is_below(name: str, modules: Iterable[str]) -> bool:
    """Whether a tensor's full name leads through one of some modules."""
    return any(f".{module}." in f".{name}" for module in modules)


def _shape(tensor: Any) -> tuple[int, ...] | None:
    return None if tensor is None else tuple(tensor.shape)
