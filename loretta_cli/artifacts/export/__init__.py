"""Export formats, one file each. A new format is one file with a function and one line here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from loretta_cli.artifacts.export.report import ExportReport
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.registry import Registry
from loretta_cli.report import Reporter

Exporter = Callable[[RunFolder, Path, Reporter, str | None], ExportReport]
"""From a run, an output folder, a reporter and rows to compare on (or None) to a report."""

FORMATS: Registry[Exporter] = Registry("format", {"lora": "loretta_cli.artifacts.export.lora:export_lora"})

__all__ = ["FORMATS", "ExportReport", "Exporter"]
