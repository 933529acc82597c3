"""Whether a merged model computes what base and adapter compute: by logits, or layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil  # type: ignore[import-untyped]
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from loretta_cli.artifacts.comparison import RELATIVE_TOLERANCE, Comparison
from loretta_cli.artifacts.merging.checkpoint import Checkpoint
from loretta_cli.artifacts.merging.layout import Entry
from loretta_cli.artifacts.merging.updates import Adapted, Update
from loretta_cli.errors import ExportError

Kind = Literal["logits", "layers"]
LAYER_TOLERANCE = {torch.float32: 2e-5, torch.float16: 1e-3, torch.bfloat16: 8e-3}
"""Of a layer's largest output: fp32 rounding, and a few times what half a last place of each weight costs."""
RANDOM_ROWS = 8
_CONTROL_GROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check said.

    Args:
        kind: ``logits`` of real rows, or ``layers`` on random inputs.
        comparison: The largest difference; of ``layers`` that of the layer nearest to its tolerance.
        layers: How many layers were compared, with ``layers``.
    """

    kind: Kind
    comparison: Comparison
    layers: int | None = None

    @property
    def of_logits(self) -> float | None:
        """The largest difference of a logit, if logits were compared."""
        return self.comparison.max_abs_difference if self.kind == "logits" else None

    @property
    def of_layers(self) -> float | None:
        """The difference of a layer's output, if layers were compared."""
        return self.comparison.max_abs_difference if self.kind == "layers" else None


def fits_in_memory(parameters: int, dtype: torch.dtype) -> bool:
    """Whether a base model and its merged one may be loaded, one after the other with room to spare.

    Args:
        parameters: Numbers in the model.
        dtype: In which they are loaded.
    """
    return 2 * parameters * dtype.itemsize < available_bytes()


def available_bytes() -> int:
    """Memory that can be had, on this machine or in its container, and on the GPU if there is one."""
    found = [int(psutil.virtual_memory().available)]
    try:
        limit = (_CONTROL_GROUP / "memory.max").read_text(encoding="ascii").strip()
        used = (_CONTROL_GROUP / "memory.current").read_text(encoding="ascii")
        found += [] if limit == "max" else [int(limit) - int(used)]
    except (OSError, ValueError):
        pass  # no container, or one of another kind
    if torch.cuda.is_available():
        found.append(torch.cuda.mem_get_info()[0])
    return max(min(found), 0)


def coarser(one: torch.dtype, other: torch.dtype) -> torch.dtype:
    """Which of two number types has the larger tolerance; fp32 for those that have none."""
    return max(
        (dtype if dtype in RELATIVE_TOLERANCE else torch.float32 for dtype in (one, other)),
        key=lambda dtype: RELATIVE_TOLERANCE[dtype],
    )


def verify_layers(
    base: Checkpoint, merged: Checkpoint, adapted: Adapted, files: list[list[Entry]]
) -> Verification:
    """Hold each merged layer, as it was written, against the base's with the adapter on it, on random inputs.

    The adapter's own forward pass is what the merged weight is compared with, in fp32, one layer at a time.
    As rounding to half precision could hide that a small update is missing or wrong, the unrounded sum has to
    pass by the tolerance of fp32, and what is written has to be as near to that sum as its number type
    allows. Everything else is compared number by number.

    Raises:
        ExportError: If the written files are not what was to be written.
    """
    entries = {entry.parameter: entry for file in files for entry in file}
    _check_written(base, merged, adapted, list(entries.values()))
    generator = torch.Generator().manual_seed(0)
    worst, count = Comparison(0.0, LAYER_TOLERANCE[torch.float32], RANDOM_ROWS), 0
    for update in adapted.updates.values():
        if update.part != "weight":
            continue
        entry = entries[f"{update.layer}.weight"]
        with torch.no_grad():
            outputs = _outputs(base, merged, adapted, update, entries, generator)
        unrounded = _compared(outputs.expected, outputs.unrounded, torch.float32)
        now = _compared(outputs.expected, outputs.found, entry.dtype) if unrounded.passed else unrounded
        count += 1
        if _closeness(now) >= _closeness(worst):
            worst = now
    return Verification("layers", worst, count)


def _compared(expected: torch.Tensor, found: torch.Tensor, dtype: torch.dtype) -> Comparison:
    """Of a layer's outputs, by the tolerance of a number type."""
    relative = LAYER_TOLERANCE.get(dtype, LAYER_TOLERANCE[torch.float32])
    difference, scale = float((expected - found).abs().max()), float(expected.abs().max())
    return Comparison(difference, relative * scale, RANDOM_ROWS)


def _closeness(comparison: Comparison) -> float:
    """How much of its tolerance a comparison uses up; a difference that is no number uses more than any."""
    if not math.isfinite(comparison.max_abs_difference):
        return math.inf
    return comparison.max_abs_difference / max(comparison.tolerance, 1e-30)


@dataclass(frozen=True, slots=True)
class _Outputs:
    """What a layer gives: with its adapter, with the sum of weight and update, and as it was written."""

    expected: torch.Tensor
    unrounded: torch.Tensor
    found: torch.Tensor


def _outputs(
    base: Checkpoint,
    merged: Checkpoint,
    adapted: Adapted,
    update: Update,
    entries: dict[str, Entry],
    generator: torch.Generator,
) -> _Outputs:
    layer: Any = update.module
    plain = layer.get_base_layer()
    weight = entries[f"{update.layer}.weight"]
    # Conv1D keeps its weight as (in, out).
    inputs = torch.randn(
        RANDOM_ROWS, weight.shape[0 if isinstance(plain, Conv1D) else 1], generator=generator
    )
    parts = [part for part in ("weight", "bias") if getattr(plain, part, None) is not None]
    places = {part: entries[f"{update.layer}.{part}"] for part in parts}
    empty = {part: getattr(plain, part) for part in parts}
    try:
        _put(plain, {part: base.read(_source(entry)) for part, entry in places.items()})
        expected = layer(inputs)
        _put(plain, {part: _sum(base, adapted, entry) for part, entry in places.items()})
        unrounded = plain(inputs)
        _put(plain, {part: merged.read(entry.name) for part, entry in places.items()})
        return _Outputs(expected, unrounded, plain(inputs))
    finally:
        for part, value in empty.items():
            setattr(plain, part, value)


def _put(layer: nn.Module, parts: dict[str, torch.Tensor]) -> None:
    for part in list(parts):
        setattr(layer, part, nn.Parameter(parts.pop(part).float(), requires_grad=False))


def _source(entry: Entry) -> str:
    assert entry.source is not None, "what an update changes comes from the base"
    return entry.source


def _sum(base: Checkpoint, adapted: Adapted, entry: Entry) -> torch.Tensor:
    """A tensor of the base with its update if it has one, in fp32 or wider."""
    tensor, update = base.read(_source(entry)), adapted.updates.get(entry.parameter)
    return tensor if update is None else update.of(tensor).add_(tensor)


def _check_written(base: Checkpoint, merged: Checkpoint, adapted: Adapted, entries: list[Entry]) -> None:
    """Refuse files that lack something, or hold other numbers than they should."""
    for problem in _problems(base, merged, adapted, entries):
        raise ExportError(
            f"The merged files, read again, are not what was to be written: {problem}; nothing was left.",
            hint="The disk may be failing; choose another --output.",
        )


def _problems(base: Checkpoint, merged: Checkpoint, adapted: Adapted, entries: list[Entry]) -> Iterator[str]:
    for entry in entries:
        found = merged.tensors.get(entry.name)
        if found is None or (found.shape, found.dtype) != (entry.shape, entry.dtype):
            yield f"{entry.name} is missing, or has another shape or number type"
        elif entry.parameter in adapted.updates:
            if not _is_near(_sum(base, adapted, entry), merged.read(entry.name)):
                yield f"{entry.name} is not the sum of base and adapter"
        else:
            value = adapted.replacements.get(entry.parameter)
            expected = base.read(_source(entry)) if value is None else value
            if not torch.equal(expected.to(entry.dtype), merged.read(entry.name)):
                yield f"{entry.name} has other numbers"


def _is_near(total: torch.Tensor, written: torch.Tensor) -> bool:
    """Whether a tensor is as near to a sum as a cast to its number type is; ``total`` is used up."""
    size, nearest = float(total.norm()), 0.0
    if written.dtype != total.dtype:
        nearest = float(total.to(written.dtype).to(total.dtype).sub_(total).norm())
    # A product computed again may differ in its last bits, and be rounded the other way here and there.
    return float(total.sub_(written).norm()) <= 1.001 * nearest + 1e-6 * size
