"""A GGUF model file written again with other numbers: metadata and vocabulary kept, one tensor at a time."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from loretta_cli.errors import ConfigError, ExportError, ModelError
from loretta_cli.models.gguf_files import read_header, written_kind
from loretta_cli.models.gguf_names import as_in_gguf, gguf_package, parameter_names

_FILE_TYPES = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "q8_0": "MOSTLY_Q8_0"}
"""What ``general.file_type`` says of most tensors."""
_ALIGNMENT = "general.alignment"
_KIND = "general.file_type"
_UNTRUE = "quantize."
"""Fields about how the base file was quantised."""
_LARGEST = {"F16": 65504.0, "Q8_0": 127 * 65504.0}
"""What a number may be; a block of q8_0 has a scale in f16, for whole numbers up to 127."""


@dataclass(frozen=True, slots=True)
class Value:
    """What a tensor is to become.

    Args:
        parameter: Its name in transformers.
        tensor: As transformers has it.
    """

    parameter: str
    tensor: torch.Tensor


def values_by_tensor(
    parameters: Mapping[str, torch.Tensor], model_config: Any, base: Path
) -> dict[str, Value]:
    """The parameters of a model by the tensors of the GGUF file that it came from.

    Args:
        parameters: Of a causal language model, by name.
        model_config: Of transformers.
        base: The file.

    Raises:
        ConfigError: If a parameter has no tensor there, or one of another shape.
    """
    shapes = {tensor.name: shape_of(tensor) for tensor in gguf_package().GGUFReader(base).tensors}
    found = {}
    for parameter, name in parameter_names(model_config, list(parameters)).items():
        value = parameters[parameter]
        if parameter == "lm_head.weight" and name not in shapes and model_config.tie_word_embeddings:
            continue  # it is the embedding
        if name is None or shapes.get(name) != tuple(value.shape):
            raise ConfigError(
                f"{base.name} has no tensor for {parameter} of {tuple(value.shape)}.",
                hint="Use loretta merge, and llama.cpp's convert_hf_to_gguf.py on the merged model.",
            )
        found[name] = Value(parameter, value)
    return found


def write_model(
    file: Path, base: Path, values: Mapping[str, Value], model_config: Any, number_type: str
) -> None:
    """Write a GGUF file like another one; what is written is let go before the next tensor is made.

    Args:
        file: To write.
        base: The file to follow; of tensors without a value the bytes are copied.
        values: By the names of tensors.
        model_config: Of transformers.
        number_type: ``f32``, ``f16`` or ``q8_0``.

    Raises:
        ExportError: If a number is too large for the type.
        OSError: If the file cannot be written.
    """
    gguf = gguf_package()
    reader = gguf.GGUFReader(base)
    writer = gguf.GGUFWriter(file, reader.get_field("general.architecture").contents())
    try:
        add_fields(gguf, writer, reader, number_type)
        kinds = [_kind(gguf, tensor, values, number_type) for tensor in reader.tensors]
        for tensor, kind in zip(reader.tensors, kinds, strict=True):
            shape = gguf.quant_shape_to_byte_shape(shape_of(tensor), kind)
            writer.add_tensor_info(tensor.name, shape, np.dtype(np.uint8), math.prod(shape), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor, kind in zip(reader.tensors, kinds, strict=True):
            value = values.get(tensor.name)
            data = tensor.data if value is None else _numbers(gguf, tensor.name, value, model_config, kind)
            writer.write_tensor_data(data)
    finally:
        writer.close()
    check_whole(file)


def check_whole(file: Path) -> None:
    """Refuse a written file that is shorter than it says: numpy is silent about a disk that fills up.

    Raises:
        OSError: That there is no space left.
    """
    try:
        read_header(file)
    except ModelError as error:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error


def add_fields(gguf: Any, writer: Any, reader: Any, number_type: str) -> None:
    """Write the fields of a file into another one, but those that say how it was quantised.

    Args:
        gguf: The package.
        writer: Of the new file.
        reader: Of the file to follow.
        number_type: ``f32``, ``f16`` or ``q8_0``, of the new file.
    """
    types = gguf.GGUFValueType
    for name, field in reader.fields.items():
        if name.startswith(("GGUF.", _UNTRUE)) or name in ("general.architecture", _KIND):
            continue
        if name == _ALIGNMENT:
            writer.add_custom_alignment(field.contents())
            continue
        of = field.types[-1] if field.types[0] == types.ARRAY else None
        writer.add_key_value(name, field.contents(), field.types[0], sub_type=of)
    writer.add_file_type(int(gguf.LlamaFileType[_FILE_TYPES[number_type]]))
    if number_type == "q8_0" and "general.quantization_version" not in reader.fields:
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def shape_of(tensor: Any) -> tuple[int, ...]:
    """As torch has it; the file has the dimensions in reverse."""
    return tuple(int(size) for size in reversed(tensor.shape))


def _kind(gguf: Any, tensor: Any, values: Mapping[str, Value], number_type: str) -> Any:
    if tensor.name not in values:
        return tensor.tensor_type
    return gguf.GGMLQuantizationType[written_kind(tensor.name, shape_of(tensor), number_type)]


def _numbers(gguf: Any, name: str, value: Value, model_config: Any, kind: Any) -> Any:
    plain = value.tensor.detach().float().cpu()
    stored = as_in_gguf(plain, value.parameter, model_config).contiguous()
    largest, limit = float(stored.abs().max()), _LARGEST.get(kind.name, math.inf)
    if not largest <= limit:
        raise ExportError(
            f"{name} has numbers up to {largest:.3g}, and {kind.name.lower()} holds none above {limit:,.0f}; "
            "nothing was written.",
            hint="Export with --type f32.",
        )
    return gguf.quantize(stored.numpy(), kind)
