"""The merged files: each tensor read, changed, written and forgotten."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

from loretta_cli.artifacts.files import write_json
from loretta_cli.artifacts.merging.checkpoint import Checkpoint
from loretta_cli.artifacts.merging.layout import Entry
from loretta_cli.artifacts.merging.loss import LostShare, add
from loretta_cli.artifacts.merging.updates import Adapted
from loretta_cli.artifacts.merging.writing import in_order, write_tensors
from loretta_cli.errors import ExportError, ModelError, RunError


@dataclass(slots=True)
class Written:
    """What was written.

    Args:
        files: In their order.
        lost: Of the updates, by layer; empty where nothing is rounded to half precision.
    """

    files: list[Path] = field(default_factory=list)
    lost: LostShare = field(default_factory=LostShare)


def write_merged(base: Checkpoint, adapted: Adapted, files: list[list[Entry]], folder: Path) -> Written:
    """Write the weights of a merged model.

    Args:
        base: The base model's files.
        adapted: What becomes of their tensors.
        files: What each file is to hold.
        folder: Where to.

    Raises:
        ModelError: If the base has numbers that are not finite.
        RunError: If the adapter has.
        ExportError: If there are numbers too large for their type.
        OSError: If they cannot be written.
    """
    written, total = Written(), 0
    places: dict[str, str] = {}
    for number, entries in enumerate(files, 1):
        name = SAFE_WEIGHTS_NAME
        if len(files) > 1:
            name = SAFE_WEIGHTS_NAME.replace(".", f"-{number:05}-of-{len(files):05}.")
        tensors = {entry.name: (entry.dtype, entry.shape) for entry in entries}
        by_name = {entry.name: entry for entry in entries}
        wanted = (by_name[one] for one in in_order(tensors))
        values = (merged_tensor(base, adapted, entry, written.lost) for entry in wanted)
        total += write_tensors(folder / name, tensors, values)
        places |= dict.fromkeys(tensors, name)
        written.files.append(folder / name)
    if len(files) > 1:
        numbers = sum(torch.Size(entry.shape).numel() for entries in files for entry in entries)
        index = {"metadata": {"total_parameters": numbers, "total_size": total}, "weight_map": places}
        write_json(folder / SAFE_WEIGHTS_INDEX_NAME, index)
    return written


def merged_tensor(base: Checkpoint, adapted: Adapted, entry: Entry, lost: LostShare) -> torch.Tensor:
    """One tensor of the merged model: summed in fp32, cast once.

    Args:
        base: The base model's files.
        adapted: What becomes of their tensors.
        entry: Which one.
        lost: Is told what the cast loses.
    """
    replacement = adapted.replacements.get(entry.parameter)
    if replacement is not None:
        if not is_finite(replacement):
            raise _broken_adapter(entry)
        return _fitting(replacement.to(entry.dtype), entry)
    assert entry.source is not None
    tensor = base.read(entry.source)
    if not is_finite(tensor):
        raise ModelError(
            f"{entry.source} of {base.name} has numbers that are not finite.",
            hint="The file may be damaged; get it anew.",
        )
    update = adapted.updates.get(entry.parameter)
    if update is None:
        return tensor if tensor.dtype == entry.dtype else _fitting(tensor.to(entry.dtype), entry)
    result = add(tensor, update, entry.dtype, lost)
    if not is_finite(result) and not is_finite(update.of(tensor)):
        raise _broken_adapter(entry)
    return _fitting(result, entry)


def is_finite(tensor: torch.Tensor) -> bool:
    """Whether no number of a tensor is infinite or none."""
    if not tensor.dtype.is_floating_point or not tensor.numel():
        return True
    # The two extremes tell as much as a mask as large as the tensor would.
    return all(math.isfinite(float(one)) for one in torch.aminmax(tensor))


def _fitting(tensor: torch.Tensor, entry: Entry) -> torch.Tensor:
    if not is_finite(tensor):
        raise ExportError(
            f"{entry.name} has numbers too large for {str(entry.dtype).removeprefix('torch.')}; nothing was "
            "written.",
            hint="Add --dtype bfloat16 or --dtype float32.",
        )
    return tensor


def _broken_adapter(entry: Entry) -> RunError:
    return RunError(
        f"What the adapter makes of {entry.parameter} has numbers that are not finite.",
        hint="Its file may be damaged, or the training may have diverged.",
    )
