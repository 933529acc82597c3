"""The base model as a GGUF file for llama.cpp to hold an adapter against: which one, and does it fit?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from loretta_cli.artifacts.export.gguf_model import add_fields, check_whole, shape_of
from loretta_cli.errors import ConfigError
from loretta_cli.models.gguf_files import UNQUANTISED, GgufHeader
from loretta_cli.models.gguf_names import gguf_package

_THE_RIGHT_ONE = "Give the GGUF file of the model that the run was trained on."


def is_quantised(header: GgufHeader) -> bool:
    """Whether weights of a file stand in blocks."""
    return any(tensor.kind not in UNQUANTISED for tensor in header.tensors.values())


def check_base(name: str, header: GgufHeader, architecture: str) -> None:
    """Refuse another model, and one that a comparison would blame for its rounding.

    Args:
        name: Of the file.
        header: Of the file.
        architecture: The ``general.architecture`` that it is to have.

    Raises:
        ConfigError: With what was found and expected.
    """
    if header.architecture != architecture:
        raise ConfigError(
            f"--base-gguf {name} has the architecture {header.architecture}; the base of this run is "
            f"{architecture}.",
            hint=_THE_RIGHT_ONE,
        )
    if is_quantised(header):
        raise ConfigError(
            f"--base-gguf {name} is quantised: most of it is {header.kind}. A comparison would measure the "
            "quantisation, not the adapter.",
            hint=f"Give a file of type {', '.join(UNQUANTISED)}; serve the adapter on any.",
        )


def check_base_weights(name: str, header: GgufHeader, shapes: Mapping[str, tuple[int, int]]) -> None:
    """Refuse a base that the adapter does not fit.

    Args:
        name: Of the file.
        header: Of the file.
        shapes: Name of each adapted weight to ``(out, in)``.

    Raises:
        ConfigError: With what was found and expected.
    """
    for weight, shape in shapes.items():
        tensor = header.tensors.get(weight)
        if tensor is None:
            raise ConfigError(f"--base-gguf {name} has no {weight}.", hint=_THE_RIGHT_ONE)
        if tensor.shape != shape:
            raise ConfigError(
                f"--base-gguf {name} has {weight} of {tensor.shape}; the adapter is for {shape}.",
                hint=_THE_RIGHT_ONE,
            )


def write_unpacked(file: Path, base: Path) -> None:
    """Write a GGUF file again with the numbers that its blocks stand for, in f32; one tensor at a time.

    Args:
        file: To write.
        base: A model.

    Raises:
        OSError: If it cannot be written.
    """
    gguf = gguf_package()
    reader = gguf.GGUFReader(base)
    writer = gguf.GGUFWriter(file, reader.get_field("general.architecture").contents())
    try:
        add_fields(gguf, writer, reader, "f32")
        for tensor in reader.tensors:
            shape = shape_of(tensor)
            size = 4 * int(tensor.n_elements)
            writer.add_tensor_info(tensor.name, shape, np.dtype(np.float32), size)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in reader.tensors:
            numbers = gguf.dequantize(tensor.data, tensor.tensor_type)
            writer.write_tensor_data(numbers.astype(np.float32).reshape(shape_of(tensor)))
    finally:
        writer.close()
    check_whole(file)
