"""Export formats, one file each. A new format is one file with a function and one line here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.registry import Registry
from loretta_cli.report import Reporter

if TYPE_CHECKING:
    # It imports torch, which an unknown format must not.
    from loretta_cli.artifacts.export.report import ExportReport


class Exporter(Protocol):
    """Writes a run's adapter in one format."""

    def __call__(self, run: RunFolder, output: Path, reporter: Reporter, data: str | None) -> ExportReport:
        """Write the folder ``output`` and check it on rows of ``data``, or of the run if None."""


FORMATS: Registry[Exporter] = Registry("format", {"lora": "loretta_cli.artifacts.export.lora:export_lora"})

__all__ = ["FORMATS", "Exporter"]
