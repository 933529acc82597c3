"""adp as the dense layers that it is: two matrices and biases a layer, for any framework.

LoRETTA, Section 3.2: ``h + up(act(down(h)))``.
"""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import nn
from transformers.activations import ACT2FN

from loretta_cli.artifacts.card_facts import public_name
from loretta_cli.artifacts.comparison import VERIFIED_ROWS, adapter_effect, row_logits
from loretta_cli.artifacts.export import ExportRequest
from loretta_cli.artifacts.export.card import write_export_card
from loretta_cli.artifacts.export.on_base import change, compare_on_base, replace
from loretta_cli.artifacts.export.report import EngineCheck, ExportReport
from loretta_cli.artifacts.files import check_new_folder, new_folder, write_json
from loretta_cli.artifacts.merging.updates import replacements
from loretta_cli.artifacts.restore import restore
from loretta_cli.errors import ConfigError
from loretta_cli.numerals import counted
from loretta_cli.report import Reporter
from loretta_cli.tuners.adp import AdpLayer

if TYPE_CHECKING:
    from loretta_cli.tt import TensorTrainLinear

TENSORS = "bottlenecks.safetensors"
DESCRIPTION = "bottlenecks.json"
FORMULA = "h + up(activation(down(h)))"
METHODS = ("adp", "adapters")


def export_bottlenecks(request: ExportRequest, reporter: Reporter) -> ExportReport:
    """Write the dense bottlenecks of a run, run the base model with what the files say, and compare.

    Raises:
        ConfigError: If the run's method has no bottlenecks.
        ExportError: If the rebuilt layers differ by more than the tolerance; nothing is left behind.
    """
    run, output = request.run, request.output
    method = run.read_config().adapter.method
    _check_method(method)
    check_new_folder(output)
    restored = restore(run, data=request.data, rows=VERIFIED_ROWS, plain=True, note=reporter.note)
    plan = restored.plan
    rows = plan.form.encode(plan.data.validation).rows
    reporter.note(f"computing the logits of {counted(len(rows), 'row')} with the {method} adapter")
    before = row_logits(restored.model, rows)
    effect = adapter_effect(restored.model, rows, before)
    base = public_name(plan.config.model.name or "")
    with new_folder(output) as folder:
        description = write_bottlenecks(restored.model, folder, base=base)
        del restored
        gc.collect()  # PEFT's model holds itself; without this it stays while the base is loaded again
        reporter.note("rebuilding the layers in plain torch from the files and comparing")
        comparison = compare_on_base(
            plan, rows, before, lambda model: put_bottlenecks(model, folder), effect=effect
        )
        check = EngineCheck(f"torch {torch.__version__}", comparison)
        write_export_card(
            folder,
            run,
            base=plan.config.model.name or "",
            library="safetensors",
            title=f"Bottlenecks of an {method} adapter as dense matrices",
            made_by="loretta export --format adapter",
            text=_text(description, plan.config.model.quantization),
            check=check,
        )
    layers, replaced = description["layers"], description["replaced"]
    details = {
        "layers": len(layers),
        "parameters": sum(_size(shape) for one in layers for shape in one["tensors"].values()),
        "replaced": list(replaced) or None,
        "quantization": plan.config.model.quantization,
    }
    return ExportReport(str(output), "adapter", check, details)


def write_bottlenecks(model: PeftModel, folder: Path, *, base: str = "") -> dict[str, Any]:
    """Write the active adapter of a model as :data:`TENSORS` and :data:`DESCRIPTION`.

    Matrices are ``(out, in)``, fp32; the scale is multiplied into ``up``.

    Args:
        model: Base and adp adapter.
        folder: Where to.
        base: Name of the base model.

    Returns:
        What the JSON file says.
    """
    name = model.active_adapters[0]
    settings: Any = model.peft_config[name]
    tensors: dict[str, torch.Tensor] = {}
    layers = []
    root = model.get_base_model()
    for layer, module in root.named_modules():
        if not isinstance(module, AdpLayer) or name not in module.loretta_adp_down:
            continue
        down, up = _dense(module.loretta_adp_down[name]), _dense(module.loretta_adp_up[name])
        parts = {"down.weight": down.weight, "up.weight": up.weight * module.scaling[name]}
        if down.bias is not None:
            parts |= {"down.bias": down.bias, "up.bias": up.bias * module.scaling[name]}
        own = {f"{layer}.{part}": _plain(value) for part, value in sorted(parts.items())}
        tensors |= own
        layers.append(
            {
                "layer": layer,
                "at": "input" if module.on_input[name] else "output",
                "width": down.in_features,
                "bottleneck": down.out_features,
                "tensors": _shapes(own),
            }
        )
    replaced = {key: _plain(value) for key, value in replacements(root).items()}
    description = {
        "base_model": base,
        "formula": FORMULA,
        "activation": settings.activation,
        "layers": layers,
        "replaced": _shapes(replaced),
    }
    save_file(tensors | replaced, folder / TENSORS, metadata={"format": "pt"})
    write_json(folder / DESCRIPTION, description)
    return description


def put_bottlenecks(model: nn.Module, folder: Path) -> None:
    """Give a base model the bottlenecks of an export, by its files alone.

    Args:
        model: Changed in place, by hooks.
        folder: Of the export.
    """
    description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    tensors = load_file(folder / TENSORS, device=str(next(model.parameters()).device))
    activation = ACT2FN[description["activation"]]
    for one in description["layers"]:
        change(model, one["layer"], one["at"], _bottleneck(tensors, one["layer"], activation))
    replace(model, {name: tensors[name] for name in description["replaced"]})


def _bottleneck(tensors: dict[str, torch.Tensor], layer: str, activation: nn.Module) -> Any:
    down, up = (
        (tensors[f"{layer}.{part}.weight"], tensors.get(f"{layer}.{part}.bias")) for part in ("down", "up")
    )
    linear = nn.functional.linear
    return lambda hidden: hidden + linear(activation(linear(hidden, *down)), *up)


def _check_method(method: str) -> None:
    if method in METHODS:
        return
    instead = {
        "rep": "rep is linear: --format lora exports its two matrices a layer, --format tt its cores.",
        "lora": "The adapter folder has the two matrices of each layer already.",
    }
    raise ConfigError(
        f"Only {' and '.join(METHODS)} have bottlenecks with an activation; this run is {method}.",
        hint=instead.get(method, "Use --format onnx for the whole model."),
    )


def _dense(projection: nn.Module) -> nn.Linear:
    if isinstance(projection, nn.Linear):
        return projection
    return cast("TensorTrainLinear", projection).to_dense()


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().float().cpu().contiguous().clone()


def _shapes(tensors: dict[str, torch.Tensor]) -> dict[str, list[int]]:
    return {name: list(tensor.shape) for name, tensor in tensors.items()}


def _size(shape: list[int]) -> int:
    return int(torch.Size(shape).numel())


def _text(description: dict[str, Any], kind: str | None) -> str:
    activation = description["activation"]
    exact = " (the exact one, by the error function)" if activation == "gelu" else ""
    text = (
        f"{counted(len(description['layers']), 'layer')} of the base model have a bottleneck, `{FORMULA}` "
        "with `down(h) = h @ down.weight.T + down.bias` and `up` alike; the activation is "
        f"{activation}{exact}.\n\n`{DESCRIPTION}` names each layer and says whether `h` is its input or its "
        f"output (`at`). `{TENSORS}` holds `LAYER.down.weight` (bottleneck, width), `LAYER.up.weight` "
        "(width, bottleneck) and the biases, in float32, the adapter's scale included."
    )
    if description["replaced"]:
        text += (
            "\n\nIt also holds tensors that take the place of those of the same name in the base model, the "
            f"list `replaced`: {', '.join(description['replaced'])}."
        )
    if kind is not None:
        text += f"\n\nThe adapter was trained on the base model quantised to {kind}, and belongs on the same."
    return text
