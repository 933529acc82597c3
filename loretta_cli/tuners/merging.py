"""Folding an adapter of any method into the base, where PEFT's own way fails."""

from __future__ import annotations

from typing import Any, cast

from peft import PeftModel
from peft.utils import ModulesToSaveWrapper
from torch import nn

from loretta_cli.tuners.saved_modules import release_float32


def merge_into_base(model: PeftModel) -> nn.Module:
    """The base model with the active adapter merged; ``model`` is used up.

    Raises:
        ValueError: If the adapter cannot be merged, or the result has numbers that are not finite.
    """
    tuner: Any = model.base_model
    replace = tuner._replace_module

    def put_back(parent: nn.Module, name: str, new: nn.Module, child: nn.Module) -> None:
        # PEFT reads `.weight` of whatever it puts back; a head of several layers has none.
        if isinstance(child, ModulesToSaveWrapper):
            setattr(parent, name, new)
        else:
            replace(parent, name, new, child)

    tuner._replace_module = put_back
    merged = cast("nn.Module", tuner.merge_and_unload(safe_merge=True))
    for module in merged.modules():
        release_float32(module)
    return merged
