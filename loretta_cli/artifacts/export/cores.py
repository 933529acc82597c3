"""The cores of an adapter as a file that says all: written from a model, and put back by TensorLy.

LoRETTA, Section 3.1: the cores contract to a tensor of all modes, which is a matrix row by row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from peft.utils import ModulesToSaveWrapper
from safetensors.torch import load_file, save_file
from torch import nn
from transformers.activations import ACT2FN

from loretta_cli.artifacts.export.on_base import Map, add, change, replace
from loretta_cli.artifacts.files import write_json
from loretta_cli.artifacts.merging.updates import replacements
from loretta_cli.tt import TensorTrain
from loretta_cli.tuners.adp import AdpLayer
from loretta_cli.tuners.rep import RepLayer

TENSORS = "cores.safetensors"
DESCRIPTION = "cores.json"
FORMULAS = {
    "adp": "h + scaling * up(activation(down(h)))",
    "rep": "layer(x) + scaling * x @ A @ B",
    "rep from its start": "layer(x) + scaling * (x @ A @ B - x @ start_A @ start_B)",
}
Tensors = dict[str, torch.Tensor]


def write_cores(model: PeftModel, folder: Path, *, base: str = "") -> dict[str, Any]:
    """Write the active adapter of a model as :data:`TENSORS` and :data:`DESCRIPTION`.

    Args:
        model: Base and adp or rep adapter.
        folder: Where to.
        base: Name of the base model.

    Returns:
        What the JSON file says.
    """
    name = model.active_adapters[0]
    settings: Any = model.peft_config[name]
    root = model.get_base_model()
    tensors: Tensors = {}
    layers = []
    for layer, module in root.named_modules():
        if isinstance(module, AdpLayer) and name in module.loretta_adp_down:
            parts = {"down": module.loretta_adp_down, "up": module.loretta_adp_up}
            place = {"at": "input" if module.on_input[name] else "output"}
        elif isinstance(module, RepLayer) and name in module.loretta_rep_A:
            parts = {"A": module.loretta_rep_A, "B": module.loretta_rep_B}
            if name in module.loretta_rep_start_A:
                parts |= {"start_A": module.loretta_rep_start_A, "start_B": module.loretta_rep_start_B}
            place = {}
        else:
            continue
        trains = {part: _written(held[name], f"{layer}.{part}", tensors) for part, held in parts.items()}
        layers.append({"layer": layer, **place, "scaling": module.scaling[name], "trains": trains})
    heads = {path: _written(train, path, tensors) for path, train in _heads(root, name)}
    inside = tuple(f"{path}." for path in heads)
    replaced = {
        key: value.detach().float().cpu().contiguous().clone()
        for key, value in replacements(root).items()
        if not key.startswith(inside)
    }
    formula = settings.method
    if any("start_A" in one["trains"] for one in layers):
        formula = "rep from its start"
    description = {
        "base_model": base,
        "method": settings.method,
        "formula": FORMULAS[formula],
        "activation": getattr(settings, "activation", None),
        "matrix": "contract the cores in their order and reshape to (in, out), row-major; x @ matrix + bias",
        "layers": layers,
        "heads": heads,
        "replaced": {key: list(value.shape) for key, value in replaced.items()},
    }
    save_file(tensors | replaced, folder / TENSORS, metadata={"format": "pt"})
    write_json(folder / DESCRIPTION, description)
    return description


def put_cores(model: nn.Module, folder: Path) -> None:
    """Give a base model the trains of an export, as matrices of TensorLy, by its files alone.

    Args:
        model: Changed in place, by hooks.
        folder: Of the export.
    """
    description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    tensors = load_file(folder / TENSORS, device=str(next(model.parameters()).device))
    for one in description["layers"]:
        maps = {part: _affine(tensors, train) for part, train in one["trains"].items()}
        if "down" in maps:
            activation = ACT2FN[description["activation"]]
            change(model, one["layer"], one["at"], _bottleneck(maps, activation, one["scaling"]))
        else:
            add(model, one["layer"], _update(maps, one["scaling"]))
    heads = {}
    for path, train in description["heads"].items():
        heads[f"{path}.weight"] = matrix(tensors, train).T.contiguous()
        heads[f"{path}.bias"] = tensors[train["bias"]]
    replace(model, heads | {name: tensors[name] for name in description["replaced"]})


def matrix(tensors: Mapping[str, torch.Tensor], train: Mapping[str, Any]) -> torch.Tensor:
    """The matrix of a described train, ``(in, out)``, by TensorLy.

    Args:
        tensors: Of the export's file.
        train: As the description has it.
    """
    import tensorly as tl

    with tl.backend_context("pytorch"):
        whole: torch.Tensor = tl.tt_to_tensor([tensors[core] for core in train["cores"]])
    return whole.reshape(train["in"], train["out"])


def _affine(tensors: Tensors, train: Mapping[str, Any]) -> Map:
    weight, bias = matrix(tensors, train), tensors.get(train["bias"] or "")
    return lambda x: x @ weight if bias is None else x @ weight + bias


def _bottleneck(maps: Mapping[str, Map], activation: nn.Module, scaling: float) -> Map:
    return lambda hidden: hidden + scaling * maps["up"](activation(maps["down"](hidden)))


def _update(maps: Mapping[str, Map], scaling: float) -> Map:
    if "start_A" not in maps:
        return lambda x: scaling * maps["B"](maps["A"](x))
    return lambda x: scaling * (maps["B"](maps["A"](x)) - maps["start_B"](maps["start_A"](x)))


def _heads(root: nn.Module, adapter: str) -> Iterator[tuple[str, TensorTrain]]:
    """Trains in the modules that the adapter saves whole, by the names of the layers they replace."""
    for name, module in root.named_modules():
        if isinstance(module, ModulesToSaveWrapper):
            for path, part in module.modules_to_save[adapter].named_modules():
                if isinstance(part, TensorTrain):
                    yield f"{name}.{path}".removesuffix("."), part


def _written(train: Any, name: str, tensors: Tensors) -> dict[str, Any]:
    """Put the cores of a train, and its bias, among the tensors; returns its description."""
    cores = {f"{name}.core{index}": core for index, core in enumerate(train.cores)}
    bias = getattr(train, "bias", None)
    found = cores if bias is None else {**cores, f"{name}.bias": bias}
    tensors |= {key: value.detach().float().cpu().contiguous().clone() for key, value in found.items()}
    return {
        "in": train.shape.in_features,
        "out": train.shape.out_features,
        "modes": list(train.shape.modes),
        "input_modes": train.shape.boundary,
        "ranks": list(train.ranks),
        "cores": list(cores),
        "bias": None if bias is None else f"{name}.bias",
    }


def trains_of(description: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The trains that a description has, one after the other."""
    for one in description["layers"]:
        yield from one["trains"].values()
    yield from description["heads"].values()
