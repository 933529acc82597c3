"""Writing a safetensors file one tensor at a time; the library's own writer wants all of them in memory.

The format: eight bytes with the length of the header, the header in JSON (of each tensor its number type, its
shape, and where its bytes begin and end), and the bytes of the tensors without a gap.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from loretta_cli.artifacts.merging.checkpoint import NUMBER_TYPES

_NAMES = {dtype: name for name, dtype in NUMBER_TYPES.items()}
_ALIGNMENT = 8


def in_order(tensors: Mapping[str, tuple[torch.dtype, tuple[int, ...]]]) -> list[str]:
    """The names in the order in a file: wide number types first, so that all are aligned."""
    return sorted(tensors, key=lambda name: -tensors[name][0].itemsize)


def write_tensors(
    file: Path,
    tensors: Mapping[str, tuple[torch.dtype, tuple[int, ...]]],
    values: Iterable[torch.Tensor],
) -> int:
    """Write a file; each value is let go before the next is asked for.

    Args:
        file: To write.
        tensors: Name to number type and shape.
        values: In the order of :func:`in_order`.

    Returns:
        The bytes of the tensors.
    """
    names, begin = in_order(tensors), 0
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    for name in names:
        dtype, shape = tensors[name]
        end = begin + torch.Size(shape).numel() * dtype.itemsize
        header[name] = {"dtype": _NAMES[dtype], "shape": shape, "data_offsets": (begin, end)}
        begin = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with file.open("wb") as opened:
        opened.write(len(text).to_bytes(8, "little"))
        opened.write(text)
        for value in values:
            opened.write(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
            # Else it would stay until the next one is there.
            del value
    return begin
