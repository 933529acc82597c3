"""What an export has to say; the document of ``export --json``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loretta_cli.artifacts.comparison import Comparison


@dataclass(frozen=True, slots=True)
class ExportReport:
    """A written export.

    Args:
        output: The folder.
        format: The format.
        comparison: How the export, loaded by what will serve it, compares with base and adapter.
        rank: For LoRA: the largest rank.
        quantization: How the base that the adapter was trained on is quantised, or None.
    """

    output: str
    format: str
    comparison: Comparison
    rank: int | None = None
    quantization: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The fields of the contract, the tolerance, the rank and the base's quantisation."""
        return {
            "output": self.output,
            "format": self.format,
            "verified": self.comparison.passed,
            "max_abs_difference": self.comparison.max_abs_difference,
            "tolerance": self.comparison.tolerance,
            "rank": self.rank,
            "quantization": self.quantization,
        }
