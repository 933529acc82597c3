"""What an adapter adds to each weight as a product of two thin matrices, scale included: rep and lora."""

from __future__ import annotations

from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.lora import LoraLayer

from loretta_cli.errors import ConfigError
from loretta_cli.tuners import lora_form
from loretta_cli.tuners.rep.as_lora import PREFIX

LowRank = dict[str, tuple[torch.Tensor, torch.Tensor]]
"""Name of a layer to ``(rank, in)`` and ``(out, rank)``, fp32 on the CPU."""
METHODS = ("rep", "lora")


def low_rank_updates(model: PeftModel) -> LowRank:
    """The updates of the active adapter, of lowest exact rank for rep.

    Args:
        model: Base with an adapter of :data:`METHODS`.

    Raises:
        ConfigError: If a LoRA is on a layer other than a linear one.
    """
    name = model.active_adapters[0]
    if model.peft_config[name].peft_type == "LORA":
        found: LowRank = {}
        for layer, module in model.get_base_model().named_modules():
            if isinstance(module, LoraLinear) and name in module.lora_A:
                pair: Any = module.lora_A[name].weight, module.lora_B[name].weight
                found[layer] = (_plain(pair[0]), _plain(pair[1]) * module.scaling[name])
            elif isinstance(module, LoraLayer):
                raise ConfigError(
                    f"The LoRA is on {layer} too, which is no linear layer.",
                    hint="Train with adapter.target_modules in attention and MLP, or use loretta merge.",
                )
        return found
    _, tensors = lora_form(model, name)
    layers = [key.removesuffix(".lora_A.weight") for key in tensors if key.endswith(".lora_A.weight")]
    return {
        layer.removeprefix(PREFIX): (
            _plain(tensors[f"{layer}.lora_A.weight"]),
            _plain(tensors[f"{layer}.lora_B.weight"]),
        )
        for layer in layers
    }


def _plain(matrix: torch.Tensor) -> torch.Tensor:
    return matrix.detach().float().cpu().contiguous()
