"""rep as a LoRA, exact and of the lowest rank, in the form that PEFT loads.

PEFT's own ``convert_to_lora`` approximates by singular values and keeps only flat saved modules.
"""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel
from peft.utils import ModulesToSaveWrapper
from torch import nn

from loretta_cli.tt import TensorTrainLinear
from loretta_cli.tuners.head import dense_form, make_heads_dense
from loretta_cli.tuners.refusals import UnsupportedFeatureError
from loretta_cli.tuners.rep.layer import RepLayer
from loretta_cli.tuners.saved_modules import release_float32, thaw

PREFIX = "base_model.model."
"""What PEFT puts before every name in an adapter file."""


def lora_form(model: nn.Module, adapter_name: str = "default") -> tuple[LoraConfig, dict[str, torch.Tensor]]:
    """The LoRA that computes what a rep adapter computes.

    The update of rep is a product of two thin matrices, hence a LoRA of that rank with the scale folded in
    and ``lora_alpha = r``. Trained norms and heads go along as ``modules_to_save``, a TT head as the dense
    matrix that it is, frozen ones as ordinary parameters.

    Args:
        model: A :class:`peft.PeftModel`, or a transformers model after ``add_adapter``.
        adapter_name: Of a rep adapter in it.

    Returns:
        Config and tensors: what ``save_pretrained`` of such a LoRA writes, and what
        ``peft.set_peft_model_state_dict`` takes after ``model.add_adapter(name, config)``.

    Raises:
        UnsupportedFeatureError: If there is no rep adapter of this name, or it trains biases of the base.
    """
    root = cast("nn.Module", model.base_model.model) if isinstance(model, PeftModel) else model
    factors = {
        name: _narrowed(*module.factors(adapter_name))
        for name, module in root.named_modules()
        if isinstance(module, RepLayer) and adapter_name in module.loretta_rep_A
    }
    if not factors:
        raise UnsupportedFeatureError(f"The model has no rep adapter named {adapter_name!r}.")
    source = cast("Any", model).peft_config[adapter_name]
    if source.bias != "none":
        raise UnsupportedFeatureError(
            f"The adapter trains biases of the base model (bias={source.bias!r}), which a LoRA made from it "
            "would lose. Train with bias='none'."
        )
    tensors = {
        f"{PREFIX}{name}.lora_{side}.weight": matrix.detach().T.contiguous()
        for name, pair in factors.items()
        for side, matrix in zip("AB", pair, strict=True)
    }
    ranks = {name: left.shape[1] for name, (left, _) in factors.items()}
    return _config(source, ranks, root), tensors | _saved_tensors(root, adapter_name)


def _narrowed(left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The same product, ``(in, k)`` by ``(k, out)``, with a ``k`` of at most ``in`` and ``out``."""
    inputs, outputs = left.shape[0], right.shape[1]
    if left.shape[1] <= min(inputs, outputs):
        return left, right
    product = left @ right
    same = torch.eye(min(inputs, outputs), dtype=product.dtype, device=product.device)
    return (product, same) if outputs < inputs else (same, product)


def _config(source: Any, ranks: dict[str, int], root: nn.Module) -> LoraConfig:
    rank = max(ranks.values())
    odd = {name: number for name, number in ranks.items() if number != rank}
    layers = [module for module in root.modules() if isinstance(module, RepLayer)]
    return LoraConfig(
        r=rank,
        lora_alpha=rank,
        rank_pattern=dict(odd),
        alpha_pattern=dict(odd),
        target_modules=sorted(ranks),
        fan_in_fan_out=any(layer.fan_in_fan_out for layer in layers),
        modules_to_save=list(source.modules_to_save or ()) or None,
        task_type=source.task_type,
        base_model_name_or_path=source.base_model_name_or_path or None,
        revision=source.revision,
        inference_mode=source.inference_mode,
    )


def _saved_tensors(root: nn.Module, adapter_name: str) -> dict[str, torch.Tensor]:
    tensors = {}
    for name, module in root.named_modules():
        if isinstance(module, ModulesToSaveWrapper) and adapter_name in module.modules_to_save:
            for key, value in _plain(module.modules_to_save[adapter_name]).state_dict().items():
                tensors[f"{PREFIX}{name}.{key}"] = value.detach().contiguous()
    return tensors


def _plain(module: nn.Module) -> nn.Module:
    """A copy as the base model would have it: dense, with parameters, in the base's dtype."""
    plain = copy.deepcopy(module)
    thaw(plain)
    if isinstance(plain, TensorTrainLinear):
        return dense_form(plain)
    make_heads_dense(plain)
    release_float32(plain)
    return plain
