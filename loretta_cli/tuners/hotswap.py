"""Replacing the numbers of an adapter in place, so that a compiled model need not be compiled anew.

PEFT's ``hotswap_adapter`` reads LoRA's own settings, refuses every other type by name, and cannot swap
saved modules (norms and heads), which most adapters here have.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from peft import PeftConfig, PeftModel, get_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import load_peft_weights

from loretta_cli.tuners.refusals import UnsupportedFeatureError

SETTINGS = ("peft_type", "activation", "dropout", "input_modules")
"""Settings that change the computation and do not show in the names and shapes of the tensors."""


def swap_adapter(model: PeftModel, folder: str | Path, adapter_name: str = "default") -> None:
    """Give an adapter of ``model`` the numbers of a saved one. The name stays.

    Both must have tensors of the same names and shapes: same method, layers, ranks, modes and saved modules.

    Args:
        model: A model with an adp or rep adapter, compiled or not.
        folder: What ``save_pretrained`` wrote.
        adapter_name: The adapter to overwrite.

    Raises:
        UnsupportedFeatureError: If the two do not fit, or the adapter is merged; nothing is changed.
    """
    plain = cast("PeftModel", getattr(model, "_orig_mod", model))
    if adapter_name not in plain.peft_config:
        raise UnsupportedFeatureError(
            f"The model has no adapter named {adapter_name!r}; it has {', '.join(plain.peft_config)}."
        )
    old = cast("Any", plain.peft_config[adapter_name])
    new = cast("Any", PeftConfig.from_pretrained(str(folder)))
    for name in SETTINGS:
        found, expected = getattr(new, name, None), getattr(old, name, None)
        if found != expected:
            raise UnsupportedFeatureError(
                f"The adapter in {folder} cannot replace {adapter_name!r}: it has {name}={found!r}, expected "
                f"{expected!r}. Load it beside, with model.load_adapter."
            )
    layers = [module for module in plain.modules() if isinstance(module, BaseTunerLayer)]
    if any(adapter_name in layer.merged_adapters for layer in layers):
        raise UnsupportedFeatureError(
            f"The adapter {adapter_name!r} is merged into the base. Call model.unmerge_adapter() first."
        )
    current = get_peft_model_state_dict(plain, adapter_name=adapter_name, save_embedding_layers=False)
    weights = load_peft_weights(str(folder), device="cpu")
    _check_same_tensors(current, weights, folder, adapter_name)
    with torch.no_grad():
        for name, value in current.items():
            value.copy_(weights[name])
    width = "r" if hasattr(new, "r") else "bottleneck"
    for layer in cast("list[Any]", layers):
        if adapter_name in layer.scaling:
            layer.scaling[adapter_name] = new.alpha / getattr(new, width)
    old.alpha = new.alpha


def _check_same_tensors(
    current: dict[str, torch.Tensor], weights: dict[str, torch.Tensor], folder: str | Path, adapter_name: str
) -> None:
    here = {name: tuple(value.shape) for name, value in current.items()}
    there = {name: tuple(value.shape) for name, value in weights.items()}
    different = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
    if different:
        name = different[0]
        raise UnsupportedFeatureError(
            f"The adapter in {folder} cannot replace {adapter_name!r}: {len(different)} tensors differ in "
            f"name or shape, the first is {name} ({there.get(name, 'missing')}, expected "
            f"{here.get(name, 'none')}). Load it beside, with model.load_adapter."
        )
