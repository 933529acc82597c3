"""What a run takes on a disk in each of its forms: the size table of every card.

All is computed from the run folder: the header of the adapter's file, its config, the base model's
fingerprint. Of the merged model, which has as many numbers as the base, only the tensors are counted.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from loretta_cli.artifacts.export import NUMBER_TYPES
from loretta_cli.artifacts.files import folder_bytes
from loretta_cli.artifacts.fingerprint import ADAPTER_WEIGHTS, read_fingerprints
from loretta_cli.artifacts.merging.refusals import merges
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.artifacts.tensor_header import NUMBER_NAMES, StoredShape, file_bytes, read_header
from loretta_cli.config import Config
from loretta_cli.errors import RunError
from loretta_cli.models.gguf_files import read_header as read_gguf_header
from loretta_cli.models.gguf_files import written_bytes
from loretta_cli.models.gguf_names import GGUF_ARCHITECTURES
from loretta_cli.models.loading import choose_dtype
from loretta_cli.models.source import find_model

NUMBER_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_STORED_AS = {name: kind for kind, name in NUMBER_NAMES.items()}
_CORE = re.compile(r"(?P<owner>.+)\.core(?P<number>\d+)")
_START = "loretta_rep_start_A"
_TRAIN_A, _TRAIN_B = "loretta_rep_A", "loretta_rep_B"
_LORA = (".lora_A.weight", ".lora_B.weight")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of a run's forms.

    Args:
        adapter: The adapter's file, as it is saved.
        lora: The file of the same as a LoRA; None where there is none, or it cannot be told.
        lora_saved: Of its tensors, those of modules that are saved whole, which are no LoRA.
        merged: The tensors of the merged model; None where there is none, or it cannot be told.
        merged_dtype: Their number type, as Python writes it.
        gguf: The tensors of the merged model in a GGUF file, by their number type; empty where the base is no
            such file, or llama.cpp does not serve the model.
    """

    adapter: int
    lora: int | None = None
    lora_saved: int = 0
    merged: int | None = None
    merged_dtype: str | None = None
    gguf: Mapping[str, int] = field(default_factory=dict)


def sizes_of(run: RunFolder, total_parameters: int | None = None) -> Sizes:
    """The sizes of a run with a finished adapter, in the number types that this machine would write.

    Args:
        run: The run.
        total_parameters: Of its base model; None reads it from the report.
    """
    config, file = run.read_config(), run.adapter / ADAPTER_WEIGHTS
    fingerprints = read_fingerprints(run)
    stored = fingerprints.dtype if fingerprints is not None else None
    loaded = _loaded_as(config, stored)
    lora, saved = None, 0
    if config.adapter.method == "rep":
        tensors = lora_tensors(read_header(file), _bottleneck(run), saved_as=loaded)
        if tensors is not None:
            lora, saved = file_bytes(tensors, metadata={"format": "pt"}), saved_bytes(tensors)
    merged, dtype = None, loaded
    total = total_parameters or _reported_total(run)
    if merges(config.adapter.method) and total is not None and stored is not None:
        if config.model.dtype == "auto" and config.model.quantization is None:
            dtype = stored
        merged = total * NUMBER_BYTES[dtype]
    name = NUMBER_NAMES[dtype] if merged else None
    return Sizes(file.stat().st_size, lora, saved, merged, name, _gguf_sizes(config) if merged else {})


def _gguf_sizes(config: Config) -> dict[str, int]:
    """Of the merged model of a run on a GGUF file."""
    if _base_gguf(config) is None or config.task.form == "classification":
        return {}
    header = read_gguf_header(Path(find_model(config.model.name or "").location))
    if header.architecture not in {known.name for known in GGUF_ARCHITECTURES.values()}:
        return {}
    return {number_type: written_bytes(header, number_type) for number_type in NUMBER_TYPES}


def _base_gguf(config: Config) -> str | None:
    """Name of the GGUF file that the base model of a run is; None if it is none."""
    return find_model(config.model.name or "").gguf_file


def _loaded_as(config: Config, stored: str | None) -> str:
    """The number type in which the base model is loaded here, by safetensors' names."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    known = SimpleNamespace(dtype=getattr(torch, NUMBER_NAMES[stored or "F32"]))
    return _STORED_AS[str(choose_dtype(config.model.dtype, known, device)).removeprefix("torch.")]


def lora_tensors(
    tensors: Mapping[str, StoredShape], bottleneck: int, *, saved_as: str
) -> dict[str, StoredShape] | None:
    """What the file of the LoRA of lowest exact rank of a rep adapter holds, without making it.

    Args:
        tensors: Of the adapter's file.
        bottleneck: Width between the trains A and B.
        saved_as: Number type of a module that is saved whole: that of the base model.

    Returns:
        The tensors; None if those given are no rep adapter.
    """
    trains: dict[str, dict[int, StoredShape]] = {}
    found: dict[str, StoredShape] = {}
    for name, tensor in tensors.items():
        if core := _CORE.fullmatch(name):
            trains.setdefault(core["owner"], {})[int(core["number"])] = tensor
        else:
            found[name] = _shaped(saved_as, *tensor.shape)
    layers = {owner: _sorted(cores) for owner, cores in trains.items() if owner.endswith(_TRAIN_A)}
    for owner, cores in layers.items():
        layer = owner.removesuffix(f".{_TRAIN_A}")
        other = _sorted(trains.get(f"{layer}.{_TRAIN_B}", {}))
        if not other or _entries(cores) % bottleneck or _entries(other) % bottleneck:
            return None
        bonds = [bottleneck, _bond(cores[::-1], bottleneck, end=0), _bond(other, bottleneck, end=-1)]
        rank = min(bond for bond in bonds if bond is not None)
        rank *= 2 if f"{layer}.{_START}" in trains else 1
        kind, inputs, outputs = cores[0].dtype, _entries(cores) // bottleneck, _entries(other) // bottleneck
        rank = min(rank, inputs, outputs)
        found[layer + _LORA[0]] = _shaped(kind, rank, inputs)
        found[layer + _LORA[1]] = _shaped(kind, outputs, rank)
    # A head of tensor trains goes along as the dense matrices that they are.
    for owner in (one for one in trains if "loretta_rep_" not in one.rpartition(".")[2]):
        entries, out = _entries(trains[owner].values()), tensors[f"{owner}.bias"].numbers
        found[f"{owner}.weight"] = _shaped(saved_as, out, entries // out)
    return found if layers else None


def saved_bytes(tensors: Mapping[str, StoredShape]) -> int:
    """Of a LoRA's tensors, the bytes of those that are no LoRA: modules saved whole."""
    return sum(tensor.bytes for name, tensor in tensors.items() if not name.endswith(_LORA))


def _shaped(kind: str, *shape: int) -> StoredShape:
    return StoredShape(kind, shape, math.prod(shape) * NUMBER_BYTES[kind])


def _sorted(cores: Mapping[int, StoredShape]) -> list[StoredShape]:
    return [cores[number] for number in sorted(cores)]


def _entries(cores: Iterable[StoredShape]) -> int:
    """Of the matrix of a train, whose cores are ``(r, k, r')``."""
    return math.prod(core.shape[1] for core in cores)


def _bond(cores: list[StoredShape], width: int, *, end: int) -> int | None:
    """The rank of the bond behind the modes of the bottleneck; None where a core carries both sides.

    Args:
        cores: From the bottleneck on.
        width: Of the bottleneck.
        end: The axis of a core that leads away from the bottleneck.
    """
    product = 1
    for core in cores[:-1]:
        product *= core.shape[1]
        if product == width:
            return core.shape[end]
    return None


def _bottleneck(run: RunFolder) -> int:
    settings: dict[str, Any] = json.loads((run.adapter / "adapter_config.json").read_text(encoding="utf-8"))
    return int(settings["r"])


def _reported_total(run: RunFolder) -> int | None:
    try:
        return int(run.read_report()["total_parameters"])
    except (RunError, KeyError, TypeError, ValueError):
        return None


def size_section(
    run: RunFolder, *, total_parameters: int | None = None, folder: Path | None = None, merged: bool = False
) -> str:
    """The section ``## Sizes`` of a card, in Markdown.

    Args:
        run: Where adapter and base model are from; it has a finished adapter.
        total_parameters: Of the base model; None reads it from the report.
        folder: Of an export, which gets a row of its own for the files in it now.
        merged: Whether the folder is the merged model, whose tensors are counted as they are.
    """
    sizes, config = sizes_of(run, total_parameters), run.read_config()
    rows = [("adapter, the file of the run", sizes.adapter)]
    if sizes.lora is not None:
        rows.append(("the same as a LoRA, its file (`loretta export --format lora`)", sizes.lora))
    if sizes.lora_saved:
        rows.append(("of that LoRA, modules that are saved whole", sizes.lora_saved))
    if merged and folder is not None:
        written = [tensor for file in folder.glob("*.safetensors") for tensor in read_header(file).values()]
        rows.append(("weights of this merged model", sum(tensor.bytes for tensor in written)))
    elif sizes.merged is not None:
        rows.append((f"weights merged (`loretta merge`), in {sizes.merged_dtype}", sizes.merged))
    for kind, size in sizes.gguf.items():
        rows.append((f"tensors merged for llama.cpp (`loretta export --format gguf --type {kind}`)", size))
    if folder is not None:
        rows.append(("this folder, without the card", folder_bytes(folder)))
    cells = "\n".join(f"| {what} | {number:,} |" for what, number in rows)
    missing = ""
    if config.adapter.method == "adp":
        missing = (
            "\nadp is nonlinear: there is no LoRA of it, and no weights of the base model can hold it.\n"
        )
    elif config.task.form == "classification" and _base_gguf(config) is not None:
        missing = "\nllama.cpp serves no classification head: there is no merged GGUF file of it.\n"
    return f"## Sizes\n\n| | bytes |\n|---|---|\n{cells}\n{missing}"
