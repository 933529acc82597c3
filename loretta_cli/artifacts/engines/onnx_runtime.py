"""onnxruntime: the logits of an ONNX model on the CPU."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from loretta_cli.artifacts.engines import EngineError

INSTALL = "pip install onnxruntime"
_ERRORS_ONLY = 3


def is_installed() -> bool:
    """Whether the package is there."""
    return importlib.util.find_spec("onnxruntime") is not None


def engine_name() -> str:
    """Name and version for reports."""
    if not is_installed():
        return "onnxruntime"
    return f"onnxruntime {importlib.metadata.version('onnxruntime')}"


def logits(model: Path, batches: Sequence[Mapping[str, torch.Tensor]]) -> Iterator[torch.Tensor]:
    """Load a model and compute batch after batch.

    Args:
        model: The ONNX file; its first output is what is wanted.
        batches: The inputs by name.

    Yields:
        The logits of each batch.

    Raises:
        EngineError: If onnxruntime is missing, cannot load the file, or breaks down over a batch.
    """
    if not is_installed():
        raise EngineError("onnxruntime is not installed.", hint=INSTALL)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session: Any = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        for batch in batches:
            found = session.run(None, {name: values.numpy() for name, values in batch.items()})
            yield torch.from_numpy(found[0])
    except Exception as error:  # a class of its own for each of its error codes
        raise EngineError(
            f"onnxruntime cannot run {model.name}: {' '.join(str(error).split())[:300]}",
            hint="Another version of onnxruntime may know its operators.",
        ) from error
