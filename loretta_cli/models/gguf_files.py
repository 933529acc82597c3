"""Reading what a GGUF file says of itself: architecture, settings, and where which tensor lies.

A header is read here in a tenth of a second, without numpy or torch, and a file that is cut short is noticed
before anything slow begins. The weights are read by transformers.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loretta_cli.errors import ModelError
from loretta_cli.models.gguf_names import gguf_package

UNQUANTISED = ("F32", "F16", "BF16")
"""Types of weights that stand for themselves."""
_MAGIC, _VERSIONS = b"GGUF", (2, 3)
_STRING, _ARRAY = 8, 9
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Kind of a value, as the file numbers it, to its format for struct."""
_ALIGNMENT = 32
_DAMAGED = "The file may be damaged or cut short; get it anew."


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """A tensor of a file, not read.

    Args:
        shape: As torch has it; the file has the dimensions in reverse.
        kind: How its numbers are stored, by llama.cpp's names.
        size: In bytes.
    """

    shape: tuple[int, ...]
    kind: str
    size: int


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What stands before the numbers.

    Args:
        fields: Name to number or text; of lists only that they are there (None).
        tensors: By name, in the order of the file.
    """

    fields: dict[str, Any]
    tensors: dict[str, GgufTensor]

    @property
    def architecture(self) -> str:
        """``general.architecture``."""
        return str(self.fields["general.architecture"])

    @property
    def kind(self) -> str:
        """How most of the numbers are stored."""
        numbers: dict[str, int] = {}
        for tensor in self.tensors.values():
            numbers[tensor.kind] = numbers.get(tensor.kind, 0) + math.prod(tensor.shape)
        return max(numbers, key=lambda kind: numbers[kind])

    def setting(self, name: str) -> Any:
        """A field of the architecture, such as ``attention.key_length``; None if there is none."""
        return self.fields.get(f"{self.architecture}.{name}")


def read_header(file: Path) -> GgufHeader:
    """Read a file's header, and check that the numbers behind it are all there.

    Raises:
        ModelError: If it is no GGUF file of a model, is damaged or is cut short.
        ConfigError: If the package gguf is not installed.
    """
    gguf_package()
    try:
        with file.open("rb") as opened:
            if opened.read(4) != _MAGIC:
                raise ModelError(
                    f"The file {file} is no GGUF file: it does not begin with the letters GGUF.",
                    hint="Expected a model as llama.cpp's convert_hf_to_gguf.py writes it.",
                )
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _parsed(file, data)
    except OSError as error:
        raise ModelError(f"Cannot read {file}: {error.strerror}.") from error
    except (struct.error, ValueError, KeyError, IndexError, OverflowError) as error:
        raise ModelError(f"The GGUF file {file} cannot be read to its end.", hint=_DAMAGED) from error


def _parsed(file: Path, data: mmap.mmap) -> GgufHeader:
    reader = _Reader(data)
    version = reader.number("I")
    if version not in _VERSIONS:
        raise ModelError(
            f"The GGUF file {file} has a version other than 2 and 3, or its bytes are in reverse order.",
            hint="Convert the model again with a newer llama.cpp.",
        )
    count, fields = reader.number("Q"), reader.number("Q")
    header = GgufHeader({reader.text(): reader.value() for _ in range(fields)}, {})
    if not isinstance(header.fields.get("general.architecture"), str) or not count:
        raise ModelError(
            f"The GGUF file {file} holds no model: it has no architecture or no tensors.",
            hint="Expected a model as llama.cpp's convert_hf_to_gguf.py writes it, not a vocabulary.",
        )
    ends = [0]
    for name, tensor, start in reader.tensors(count):
        header.tensors[name] = tensor
        ends.append(start + tensor.size)
    alignment = int(header.fields.get("general.alignment") or _ALIGNMENT)
    begin = math.ceil(reader.at / alignment) * alignment
    if begin + max(ends) > len(data):
        raise ModelError(
            f"The GGUF file {file} is cut short: it has {len(data):,} bytes, expected {begin + max(ends):,}.",
            hint=_DAMAGED,
        )
    return header


class _Reader:
    """Takes values from a file, one behind the other.

    Args:
        data: The file's bytes.
    """

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.at = data, len(_MAGIC)

    def number(self, kind: str) -> Any:
        """A number of a kind of struct's."""
        (value,) = struct.unpack_from(f"<{kind}", self.data, self.at)
        self.at += struct.calcsize(f"<{kind}")
        return value

    def text(self) -> str:
        """A length and as many bytes."""
        length = self.number("Q")
        if self.at + length > len(self.data):
            raise ValueError("a text goes on behind the end")
        self.at += length
        return self.data[self.at - length : self.at].decode()

    def value(self) -> Any:
        """A number, a text, or None for a list."""
        kind = self.number("I")
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.number(_NUMBERS[kind])
        of, count = self.number("I"), self.number("Q")
        if of == _STRING:
            for _ in range(count):
                length = self.number("Q")
                self.at += length
        else:
            self.at += count * struct.calcsize(f"<{_NUMBERS[of]}")
        return None

    def tensors(self, count: int) -> Iterator[tuple[str, GgufTensor, int]]:
        """Name, tensor, and where it begins behind the header."""
        gguf = gguf_package()
        for _ in range(count):
            name = self.text()
            shape = tuple(self.number("Q") for _ in range(self.number("I")))[::-1]
            kind, start = gguf.GGMLQuantizationType(self.number("I")), self.number("Q")
            numbers, size = gguf.GGML_QUANT_SIZES[kind]
            yield name, GgufTensor(shape, kind.name, math.prod(shape) // numbers * size), start


def written_kind(name: str, shape: tuple[int, ...], number_type: str) -> str:
    """How a tensor is stored in a file of a number type.

    Norms and whatever has one dimension are f32, as llama.cpp has them; a matrix whose rows q8_0 does not
    divide into its blocks is f16.

    Args:
        name: Of the tensor.
        shape: As torch has it.
        number_type: By llama.cpp's name: f32, f16 or q8_0.
    """
    if len(shape) == 1 or name.endswith("_norm.weight"):
        return "F32"
    kind = number_type.upper()
    gguf = gguf_package()
    block, _ = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    return kind if shape[-1] % block == 0 else "F16"


def written_bytes(header: GgufHeader, number_type: str) -> int:
    """Of all tensors of a model, written again in a number type.

    Args:
        header: Of the model's file.
        number_type: By llama.cpp's name: f32, f16 or q8_0.
    """
    gguf, total = gguf_package(), 0
    for name, tensor in header.tensors.items():
        kind = gguf.GGMLQuantizationType[written_kind(name, tensor.shape, number_type)]
        numbers, size = gguf.GGML_QUANT_SIZES[kind]
        total += math.prod(tensor.shape) // numbers * size
    return total


def check_readable(name: str, header: GgufHeader) -> None:
    """Refuse what transformers would read as another model, without saying so.

    Args:
        name: Of the model, for messages.
        header: Of its file.

    Raises:
        ModelError: If the file is one of several, or stretches positions.
    """
    parts = header.fields.get("split.count") or 1
    if parts > 1:
        raise ModelError(
            f"{name} is one of {parts} files of a model, and only whole models are read.",
            hint="Put them together: llama-gguf-split --merge FIRST_PART model.gguf",
        )
    stretched = header.setting("rope.scaling.type") not in (None, "none")
    if stretched or "rope_freqs.weight" in header.tensors:
        raise ModelError(
            f"{name} stretches its positions (RoPE scaling), which is not read from GGUF files.",
            hint="Give the model as a transformers folder or by its hub id.",
        )


def settle_gguf_config(config: Any, header: GgufHeader) -> None:
    """Put into a config what the file says and transformers does not take from it.

    Args:
        config: Of transformers, as it read it; changed in place.
        header: Of the file.
    """
    width = header.setting("attention.key_length")
    if width and hasattr(config, "head_dim"):
        config.head_dim = width
    if config.model_type in _SCALED_BY_WIDTH:
        # llama.cpp knows the one model of each that scales in another way by its number of layers.
        by_heads = config.num_hidden_layers == _SCALED_BY_WIDTH[config.model_type]
        scale = config.hidden_size // config.num_attention_heads if by_heads else config.head_dim
        config.query_pre_attn_scalar = scale
    if (config.pad_token_id or 0) >= config.vocab_size:
        config.pad_token_id = None


_SCALED_BY_WIDTH = {"gemma2": 46, "gemma3_text": 62}
"""Types with a setting for the scale of queries, with the layers of their model of 27 billion numbers."""
