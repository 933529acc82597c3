"""What ``target_modules="all-linear"`` means, where PEFT's own expansion falls short.

PEFT leaves out layers that have an adapter already, goes into the copies of saved modules, and disregards
``layers_to_transform``.
"""

from __future__ import annotations

import copy
import re
from typing import Any, cast

from peft.tuners.tuners_utils import BaseTunerLayer, _maybe_include_all_linear_layers
from peft.utils import ModulesToSaveWrapper
from torch import nn
from transformers import PreTrainedModel

from loretta_cli.errors import ConfigError
from loretta_cli.tuners.config import ALL_LINEAR, TensorTrainConfig


def expand_all_linear(config: TensorTrainConfig, model: nn.Module) -> None:
    """Replace ``all-linear`` in a config by the full names of the layers, in place.

    Args:
        config: Of the adapter to build; left alone if it names its targets.
        model: The base model, with or without adapters.

    Raises:
        ConfigError: If the chosen blocks have no linear layer.
    """
    if not isinstance(config.target_modules, str) or config.target_modules.lower() != ALL_LINEAR:
        return
    names = cast("set[str]", _maybe_include_all_linear_layers(copy.copy(config), model).target_modules)
    saved = [name for name, module in model.named_modules() if isinstance(module, ModulesToSaveWrapper)]
    output = model.get_output_embeddings() if isinstance(model, PreTrainedModel) else None
    names |= {
        name
        for name, module in model.named_modules()
        if isinstance(module, BaseTunerLayer) and module is not output
    }
    names = {name for name in names if not name.startswith(tuple(f"{wrapper}." for wrapper in saved))}
    if config.layers_to_transform is not None:
        names = {name for name in names if _block_of(name, config) in _as_list(config.layers_to_transform)}
        if not names:
            raise ConfigError(
                f"No linear layer lies in the layers {config.layers_to_transform} "
                f"(layers_pattern={config.layers_pattern!r}).",
                hint="Leave layers_pattern out, or give the name of the module that lists the blocks.",
            )
    config.target_modules = names


def _block_of(name: str, config: TensorTrainConfig) -> int | None:
    """The index of the block that a module lies in, found as PEFT finds it."""
    for pattern in _as_list(config.layers_pattern) or [r"[^.]*"]:
        # The first number, as in PEFT: a block of T5 has numbered layers.
        found = re.match(rf".*?\.{pattern}\.(\d+)\.", name)
        if found:
            return int(found.group(1))
    return None


def _as_list(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, (list, tuple, set)) else [value]
