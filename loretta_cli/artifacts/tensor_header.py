"""The header of a safetensors file: what tensors there are, without reading one. Imports no torch.

The format: eight bytes with the length of the header, then the header in JSON, then the tensors.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

LENGTH_BYTES = 8
LONGEST = 100_000_000
"""Bytes of a header; the library reads no longer one."""
NUMBER_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""What the format calls the number types of weights, and what Python calls them."""


@dataclass(frozen=True, slots=True)
class StoredShape:
    """A tensor of a file.

    Args:
        dtype: Its number type, by the names of safetensors (``F32``, ``BF16``).
        shape: Its shape.
        bytes: Its size.
    """

    dtype: str
    shape: tuple[int, ...]
    bytes: int

    @property
    def numbers(self) -> int:
        """How many it has."""
        return math.prod(self.shape)


def header_bytes(opened: BinaryIO, size: int) -> int:
    """Where the first tensor begins; 0 for a file that is no safetensors file.

    Args:
        opened: The file.
        size: Of all of it.
    """
    opened.seek(0)
    length = LENGTH_BYTES + int.from_bytes(opened.read(LENGTH_BYTES), "little")
    return length if length <= min(size, LONGEST) else 0


def read_header(file: Path) -> dict[str, StoredShape]:
    """The tensors of a file by name; none where it cannot be read, which loading it will tell better."""
    try:
        with file.open("rb") as opened:
            end = header_bytes(opened, file.stat().st_size)
            opened.seek(LENGTH_BYTES)
            entries = json.loads(opened.read(max(end - LENGTH_BYTES, 0)))
        return {
            name: StoredShape(
                entry["dtype"], tuple(entry["shape"]), entry["data_offsets"][1] - entry["data_offsets"][0]
            )
            for name, entry in entries.items()
            if name != "__metadata__"
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return {}


def file_bytes(tensors: Mapping[str, StoredShape], *, metadata: Mapping[str, str]) -> int:
    """How large the safetensors file of some tensors would be, its header included.

    Args:
        tensors: By name; of one number type, or of several.
        metadata: What is written beside them.
    """
    entries: dict[str, object] = {"__metadata__": dict(metadata)}
    begin = 0
    # The library puts the widest numbers first, then goes by name.
    for name in sorted(tensors, key=lambda one: (-tensors[one].bytes // max(tensors[one].numbers, 1), one)):
        tensor, end = tensors[name], begin + tensors[name].bytes
        entries[name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [begin, end]}
        begin = end
    header = len(json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode())
    return LENGTH_BYTES + math.ceil(header / LENGTH_BYTES) * LENGTH_BYTES + begin


def is_whole(file: Path) -> bool:
    """Whether a safetensors file has as many bytes as its header says, so that it was not cut short."""
    with file.open("rb") as opened:
        begin = header_bytes(opened, file.stat().st_size)
    tensors = read_header(file)
    return bool(tensors) and begin + sum(one.bytes for one in tensors.values()) == file.stat().st_size
