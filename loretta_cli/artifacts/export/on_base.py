"""Running a base model with layers rebuilt from an export's files, by hooks: nothing of an adapter is left.

For formats that describe layers, where the check is whether the description says all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import nn

from loretta_cli.artifacts.comparison import Comparison, compare, row_logits
from loretta_cli.errors import ExportError
from loretta_cli.models.loading import to_device
from loretta_cli.planning.plan import Plan, load_base

Side = Literal["input", "output"]
"""Whether an adapter changes what goes into a layer, or what comes out of it."""
Map = Callable[[torch.Tensor], torch.Tensor]


def change(model: nn.Module, layer: str, side: Side, adapted: Map) -> None:
    """Pass a layer's input or output through a function that is computed in fp32.

    Args:
        model: The base model.
        layer: Name of the layer.
        side: What is changed.
        adapted: The function.
    """
    module = model.get_submodule(layer)
    if side == "input":
        module.register_forward_pre_hook(
            lambda _, inputs: (adapted(inputs[0].float()).to(inputs[0].dtype), *inputs[1:])
        )
    else:
        module.register_forward_hook(lambda _, __, output: adapted(output.float()).to(output.dtype))


def add(model: nn.Module, layer: str, update: Map) -> None:
    """Add a function of a layer's input, computed in fp32, to its output.

    Args:
        model: The base model.
        layer: Name of the layer.
        update: The function.
    """
    module = model.get_submodule(layer)
    module.register_forward_hook(
        lambda _, inputs, output: output + update(inputs[0].float()).to(output.dtype)
    )


def replace(model: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Put tensors in the place of those of the same names.

    Raises:
        ExportError: If the model has none of such a name.
    """
    unknown = model.load_state_dict(dict(tensors), strict=False).unexpected_keys
    if unknown:
        raise ExportError(f"The base model has no tensor {unknown[0]}; nothing was written.")


def compare_on_base(
    plan: Plan,
    rows: Sequence[dict[str, Any]],
    before: Sequence[torch.Tensor],
    rebuild: Callable[[nn.Module], None],
    *,
    effect: float,
) -> Comparison:
    """Load the base model, change it as an export's files say, and compare its logits.

    Args:
        plan: Of the run.
        rows: Encoded.
        before: Their logits with base and adapter.
        rebuild: Changes the base model, which is on the device to use.
        effect: The most that the adapter changes a logit.

    Raises:
        ExportError: If they differ by more than the tolerance.
    """
    base: Any = to_device(load_base(plan, plain=True).model)
    rebuild(base)
    comparison = compare(before, row_logits(base, rows), base.dtype, effect=effect)
    if not comparison.passed:
        raise ExportError(
            f"The layers rebuilt from the files differ from the adapter by "
            f"{comparison.max_abs_difference:.3g} in a logit, more than the {comparison.tolerance:.3g} "
            "accepted; nothing was written.",
            hint="Use model.dtype=float32.",
        )
    return comparison
