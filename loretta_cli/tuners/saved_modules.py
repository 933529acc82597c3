"""Modules of the base model that an adapter carries whole: norms and heads, trained or frozen.

PEFT copies and saves a module named in ``modules_to_save`` and always trains it. Two things are added
here: a copy whose numbers are *frozen but saved* (its parameters become buffers, so nothing trains
them and the state dict stays the same), and a copy held in fp32 inside a half-precision model.
"""

from __future__ import annotations

from typing import Any

import torch
from peft.utils import ModulesToSaveWrapper
from torch import nn

HALF_PRECISION = (torch.float16, torch.bfloat16)
MODEL_DTYPE = "model_dtype_marker"
"""An empty buffer: whatever dtype the model around is cast to, this is cast to as well."""


def freeze_as_buffers(module: nn.Module) -> None:
    """Turn every parameter below ``module`` into a buffer of the same name."""
    owner: Any  # a module keeps any attribute, but its annotations say tensors and modules only
    for owner in module.modules():
        names = [name for name, _ in owner.named_parameters(recurse=False)]
        for name in names:
            value = getattr(owner, name).detach()
            delattr(owner, name)
            owner.register_buffer(name, value)
        if names:
            owner.frozen_parameter_names = names


def thaw(module: nn.Module) -> None:
    """Undo :func:`freeze_as_buffers`."""
    for owner in module.modules():
        for name in owner.__dict__.pop("frozen_parameter_names", ()):
            value = getattr(owner, name)
            delattr(owner, name)
            owner.register_parameter(name, nn.Parameter(value, requires_grad=False))


def hold_in_float32(module: nn.Module) -> None:
    """Cast a half-precision module to fp32 and let it speak the dtype of its model.

    Steps of a usual learning rate vanish in the rounding of a bf16 scale near 1, hence fp32. A later
    ``model.half()`` or ``model.float()`` casts this module and what it speaks along with the rest.
    """
    tensors = (*module.parameters(), *module.buffers())
    half = next((tensor for tensor in tensors if tensor.dtype in HALF_PRECISION), None)
    if half is None or "float32_hooks" in module.__dict__:
        return
    marker = torch.empty(0, dtype=half.dtype, device=half.device)
    module.float()
    module.register_buffer(MODEL_DTYPE, marker, persistent=False)
    holder: Any = module
    holder.float32_hooks = [
        module.register_forward_pre_hook(_inputs_to_own_dtype),
        module.register_forward_hook(_output_to_model_dtype),
    ]


def hold_copies_in_float32(model: nn.Module) -> bool:
    """Have every module that adapters of PEFT's own methods carry whole held in fp32, as those of ours are.

    PEFT keeps them in the dtype of the model.

    Args:
        model: With its adapters; each copy of a module that is not in half precision is left alone.

    Returns:
        Whether there was one to change.
    """
    wrappers = [module for module in model.modules() if isinstance(module, ModulesToSaveWrapper)]
    copies = [copy for wrapper in wrappers for copy in wrapper.modules_to_save.values()]
    before = [copy for copy in copies if "float32_hooks" in copy.__dict__]
    for copy in copies:
        hold_in_float32(copy)
    return sum("float32_hooks" in copy.__dict__ for copy in copies) > len(before)


def release_float32(module: nn.Module) -> None:
    """Undo :func:`hold_in_float32` with one cast."""
    for hook in module.__dict__.pop("float32_hooks", ()):
        hook.remove()
    dtype = spoken_dtype(module)
    if dtype is not None:
        delattr(module, MODEL_DTYPE)
        module.to(dtype)


def spoken_dtype(module: nn.Module) -> torch.dtype | None:
    """The dtype of the model around a module that :func:`hold_in_float32` was applied to; None for others."""
    return module.get_buffer(MODEL_DTYPE).dtype if MODEL_DTYPE in module._buffers else None


def _own_dtype(module: nn.Module) -> torch.dtype:
    for parameter in module.parameters():
        return parameter.dtype
    return next(buffer.dtype for name, buffer in module.named_buffers() if name != MODEL_DTYPE)


def _inputs_to_own_dtype(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    dtype = _own_dtype(module)
    return tuple(
        value.to(dtype) if isinstance(value, torch.Tensor) and value.is_floating_point() else value
        for value in inputs
    )


def _output_to_model_dtype(module: Any, inputs: tuple[Any, ...], output: Any) -> Any:
    if isinstance(output, torch.Tensor) and output.is_floating_point():
        return output.to(module.get_buffer(MODEL_DTYPE).dtype)
    return output
