"""A torch model as an ONNX graph of any number of texts of any length, in fp32."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from loretta_cli.errors import ConfigError, ExportError

MODEL = "model.onnx"
LARGEST_FILE = 2_000_000_000
"""Bytes: protobuf reads no file of 2 GiB, so above this the weights lie beside the graph."""
PACKAGES = ("onnx", "onnxscript")
INSTALL = "pip install 'loretta-cli[export]'"
_LOGGERS = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")


@dataclass(frozen=True, slots=True)
class WrittenGraph:
    """What was written.

    Args:
        opset: Version of the operators.
        nodes: How many there are.
        files: Names, the graph first.
    """

    opset: int
    nodes: int
    files: tuple[str, ...]


class _Logits(nn.Module):
    """A transformers model as a function of tensors alone, in the order of their names."""

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.names = tuple(names)
        takes_cache = "use_cache" in inspect.signature(model.forward).parameters
        self.options = {"use_cache": False} if takes_cache else {}

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """``(batch, length)`` each -> the logits."""
        logits: torch.Tensor = self.model(
            **dict(zip(self.names, tensors, strict=True)), **self.options
        ).logits
        return logits


def check_packages() -> None:
    """Refuse to begin without what torch's exporter needs.

    Raises:
        ConfigError: Naming what is missing.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"ONNX files need {' and '.join(missing)}, which {'are' if missing[1:] else 'is'} not installed.",
            hint=INSTALL,
        )


def write_graph(model: nn.Module, names: Sequence[str], folder: Path) -> WrittenGraph:
    """Write ``model.onnx``, with its weights beside it where they are too large for one file.

    Args:
        model: A transformers model in evaluation mode, fp32 on the CPU.
        names: Of its inputs, each ``(batch, length)`` integers.
        folder: Where to.

    Raises:
        ExportError: If torch's exporter cannot translate the model.
    """
    # Sizes of 1 in the example would be taken for constants.
    example = tuple(torch.ones(2, 6, dtype=torch.long) for _ in names)
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
    try:
        with _quiet(), torch.no_grad():
            program: Any = torch.onnx.export(
                _Logits(model, names).eval(),
                example,
                input_names=list(names),
                output_names=["logits"],
                dynamic_shapes=((axes,) * len(names),),
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # torch.export and the translation have many kinds of their own
        raise ExportError(
            f"torch cannot export this {_kind(model)} to ONNX: {' '.join(str(error).split())[:300]}",
            hint="The exporter does not know all models; another version of torch may.",
        ) from error
    _forget_origins(program.model)
    weights = sum(value.const_value.nbytes for value in program.model.graph.initializers.values())
    with _quiet():
        program.save(folder / MODEL, external_data=weights > LARGEST_FILE)
    files = sorted((file.name for file in folder.glob(f"{MODEL}*")), key=len)
    return WrittenGraph(program.model.opset_imports[""], len(program.model.graph), tuple(files))


def _kind(model: nn.Module) -> str:
    return type(model).__name__


def _forget_origins(model: Any) -> None:
    """Remove what the exporter notes of each node: lines of code, with the paths of this machine."""
    for part in (model.graph, *model.functions.values()):
        part.metadata_props.clear()
        values = [*part.inputs, *part.outputs, *getattr(part, "initializers", {}).values()]
        for node in part.all_nodes():
            node.metadata_props.clear()
            node.doc_string = None
            values += node.outputs
        for value in values:
            value.metadata_props.clear()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks off the screen."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
