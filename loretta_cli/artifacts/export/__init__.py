"""Export formats, one file each. A new format is one file with a function and one line here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.errors import ConfigError
from loretta_cli.registry import Registry, suggest
from loretta_cli.report import Reporter

if TYPE_CHECKING:
    # It imports torch, which an unknown format must not.
    from loretta_cli.artifacts.export.report import ExportReport

NUMBER_TYPES = ("f32", "f16", "q8_0")
"""How a GGUF file may store its weights, by llama.cpp's names."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What is to be exported, and where to.

    Args:
        run: The run; of several tasks that of the last one.
        output: The folder to write.
        data: Rows to check on, if the run's own are not at hand.
        number_type: One of :data:`NUMBER_TYPES`; None is the format's own.
        base_gguf: The base model as a GGUF file, to check on.
    """

    run: RunFolder
    output: Path
    data: str | None = None
    number_type: str | None = None
    base_gguf: Path | None = None


class Exporter(Protocol):
    """Writes a run's adapter in one format."""

    def __call__(self, request: ExportRequest, reporter: Reporter) -> ExportReport:
        """Write the folder, and check it in what will serve it."""


FORMATS: Registry[Exporter] = Registry(
    "format",
    {
        "adapter": "loretta_cli.artifacts.export.bottleneck:export_bottlenecks",
        "gguf": "loretta_cli.artifacts.export.gguf:export_gguf",
        "gguf-lora": "loretta_cli.artifacts.export.gguf_lora:export_gguf_lora",
        "lora": "loretta_cli.artifacts.export.lora:export_lora",
        "onnx": "loretta_cli.artifacts.export.onnx:export_onnx",
        "tt": "loretta_cli.artifacts.export.tt:export_cores",
    },
)
READ_NUMBER_TYPE = ("gguf",)
"""Formats that read ``number_type``."""
READ_BASE_GGUF = ("gguf-lora",)
"""Formats that read ``base_gguf``."""


def check_request(format: str, number_type: str | None, base_gguf: Path | None = None) -> None:
    """Refuse an unknown format, and an option that it does not read, before any work.

    Raises:
        ConfigError: With what was expected.
    """
    FORMATS.check(format)
    if base_gguf is not None and format not in READ_BASE_GGUF:
        raise ConfigError(
            f"--base-gguf is read by the format {' and '.join(READ_BASE_GGUF)}, not by {format}.",
            hint="Leave --base-gguf out.",
        )
    if number_type is None:
        return
    if format not in READ_NUMBER_TYPE:
        raise ConfigError(
            f"--type is read by the format {' and '.join(READ_NUMBER_TYPE)}, not by {format}.",
            hint="Leave --type out.",
        )
    if number_type not in NUMBER_TYPES:
        raise ConfigError(
            f"--type is {number_type!r}; expected one of {', '.join(NUMBER_TYPES)}.",
            hint=suggest(number_type, NUMBER_TYPES, plural="types"),
        )


__all__ = ["FORMATS", "NUMBER_TYPES", "READ_NUMBER_TYPE", "ExportRequest", "Exporter", "check_request"]
