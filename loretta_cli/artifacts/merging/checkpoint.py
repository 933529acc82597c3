"""The safetensors files of a model, one or many, read one tensor at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file
from transformers.utils.hub import cached_files

from loretta_cli.artifacts.merging import NotStreamable
from loretta_cli.errors import ModelError
from loretta_cli.models.source import ModelSource, unreachable

NUMBER_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""By their names in the files."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor in a file, not read.

    Args:
        file: The file.
        shape: Its shape.
        dtype: Its number type.
    """

    file: Path
    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def size(self) -> int:
        """In bytes."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize


class Checkpoint:
    """The tensors of some safetensors files.

    Args:
        files: In the order in which they are to be read.
        name: Of the model, for messages.

    Raises:
        ModelError: If one cannot be read.
        NotStreamable: If one holds numbers of a type that no safetensors file of ours has.
    """

    def __init__(self, files: tuple[Path, ...], name: str) -> None:
        self.files, self.name = files, name
        self.tensors: dict[str, StoredTensor] = {}
        for file in files:
            self.tensors |= self._listed(file)

    @property
    def dtype(self) -> torch.dtype:
        """The number type of most of its floating-point bytes; fp32 if there are none."""
        sizes: dict[torch.dtype, int] = {}
        for tensor in self.tensors.values():
            if tensor.dtype.is_floating_point:
                sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.size
        return max(sizes, key=lambda dtype: sizes[dtype], default=torch.float32)

    @property
    def parameters(self) -> int:
        """How many numbers it holds."""
        return sum(tensor.size // tensor.dtype.itemsize for tensor in self.tensors.values())

    def read(self, name: str) -> torch.Tensor:
        """One tensor, as it is stored; its file is let go with it.

        Raises:
            ModelError: If it cannot be read.
        """
        file = self.tensors[name].file
        try:
            # Opened anew each time: what is read through one handle stays in memory as long as the handle.
            with safe_open(file, framework="pt") as opened:
                return cast("torch.Tensor", opened.get_tensor(name))
        except (OSError, SafetensorError) as error:
            raise self._broken(file, error) from error

    def _listed(self, file: Path) -> dict[str, StoredTensor]:
        found = {}
        try:
            with safe_open(file, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118  it is no mapping
                    part = opened.get_slice(name)
                    kind = part.get_dtype()
                    if kind not in NUMBER_TYPES:
                        raise NotStreamable(f"{file.name} holds numbers of the type {kind}")
                    found[name] = StoredTensor(file, tuple(part.get_shape()), NUMBER_TYPES[kind])
        except (OSError, SafetensorError) as error:
            raise self._broken(file, error) from error
        return found

    def _broken(self, file: Path, error: Exception) -> ModelError:
        reason = " ".join(str(error).split())
        return ModelError(
            f"Cannot read {file.name} of {self.name}: {reason}",
            hint="The file may be cut short or damaged; get it anew.",
        )


def find_checkpoint(source: ModelSource, revision: str | None) -> Checkpoint:
    """The safetensors files of a model in a folder, or of the hub (downloaded where they are not yet).

    Raises:
        NotStreamable: If it has none.
        ModelError: If they are broken, or are not all there.
    """
    if Path(source.location).is_file():
        raise NotStreamable("its base model is one file of another format")
    whole = _file(source, SAFE_WEIGHTS_NAME, revision)
    if whole is not None:
        return Checkpoint((whole,), source.name)
    index = _file(source, SAFE_WEIGHTS_INDEX_NAME, revision)
    if index is None:
        raise NotStreamable("its base model has no safetensors files")
    places = _places(index, source.name)
    found = Checkpoint(_shards(source, sorted(set(places.values())), revision), source.name)
    for name, shard in places.items():
        if name not in found.tensors:
            raise ModelError(
                f"{SAFE_WEIGHTS_INDEX_NAME} of {source.name} says that {shard} has the tensor {name}, and it "
                "has not.",
                hint="The files may be of two different models; get them anew.",
            )
    return found


def _places(index: Path, name: str) -> Mapping[str, str]:
    """Tensor to file name, as an index says."""
    try:
        places = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        if all(isinstance(place, str) and Path(place).name == place for place in places.values()):
            return cast("Mapping[str, str]", places)
        reason = "its weight_map is to give the name of a file for each tensor"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise ModelError(
        f"Cannot read {index.name} of {name}: {reason}.", hint="The file may be damaged; get it anew."
    )


def _file(source: ModelSource, name: str, revision: str | None) -> Path | None:
    quiet: dict[str, Any] = {"_raise_exceptions_for_missing_entries": False}
    try:
        found = cached_file(source.location, name, revision=revision, **quiet)
    except (OSError, ValueError) as error:
        raise unreachable(source.name, error) from error
    return None if found is None else Path(found)


def _shards(source: ModelSource, names: list[str], revision: str | None) -> tuple[Path, ...]:
    if source.is_local:
        return tuple(Path(source.location) / name for name in names)
    try:
        return tuple(map(Path, cached_files(source.location, names, revision=revision)))
    except (OSError, ValueError) as error:
        raise unreachable(source.name, error) from error
