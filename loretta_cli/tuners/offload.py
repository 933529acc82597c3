"""Layers that are not in memory: refused where an adapter would be built on numbers that are not there."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from loretta_cli.tuners.refusals import UnsupportedFeatureError


def is_offloaded(module: nn.Module, model: nn.Module) -> bool:
    """Whether accelerate keeps the weights of ``module`` on disk or in a store, not in memory.

    Weights on the meta device alone do not say so: a model is built there to be counted, too.

    Args:
        module: A layer.
        model: The model that it is part of; transformers notes a ``device_map`` on it.
    """
    if not any(parameter.is_meta for parameter in module.parameters()):
        return False
    # PEFT removes the hooks before it loads an adapter; the device map stays.
    hooked = any(hasattr(part, "_hf_hook") for part in module.modules())
    return hooked or "disk" in dict(getattr(model, "hf_device_map", None) or {}).values()


def check_in_memory(name: str, module: nn.Module, model: nn.Module) -> None:
    """Refuse to adapt, or to copy into the adapter, a module whose weights are offloaded.

    Args:
        name: Of the module, for the message.
        module: The module.
        model: The model that it is part of.

    Raises:
        UnsupportedFeatureError: Naming the module and what to do.
    """
    if is_offloaded(module, model):
        raise UnsupportedFeatureError(
            f"The weights of {name} are offloaded, and an adapter can only be put on weights in memory. Load "
            "the model with a device_map that keeps this module on a device, or name other target_modules."
        )


def check_saved_in_memory(names: Iterable[str] | None, model: nn.Module) -> None:
    """Refuse an adapter that copies offloaded modules.

    Args:
        names: ``modules_to_save`` of a config, matched by suffix as PEFT does.
        model: The base model.

    Raises:
        UnsupportedFeatureError: Naming the first such module and what to do.
    """
    suffixes = tuple(names or ())
    for name, module in model.named_modules():
        if suffixes and name.endswith(suffixes):
            check_in_memory(name, module, model)
