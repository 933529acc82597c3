"""What an export has to say; the document of ``export --json``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from loretta_cli.artifacts.comparison import Comparison


@dataclass(frozen=True, slots=True)
class EngineCheck:
    """What the engine that is to serve an export said of it.

    Args:
        engine: Its name and version.
        comparison: What it computed beside base and adapter; None if it did not run.
        missing: Why it did not run.
    """

    engine: str
    comparison: Comparison | None
    missing: str | None = None

    @property
    def verified(self) -> bool:
        """Whether the engine ran and agreed."""
        return self.comparison is not None and self.comparison.passed

    def in_words(self) -> str:
        """A sentence for tables and cards."""
        if self.comparison is None:
            return f"not checked in {self.engine}: {self.missing}"
        return (
            f"checked in {self.engine} on {self.comparison.rows} rows: largest difference "
            f"{self.comparison.max_abs_difference:.3g}, accepted {self.comparison.tolerance:.3g}"
        )


@dataclass(frozen=True, slots=True)
class ExportReport:
    """A written export.

    Args:
        output: The folder.
        format: The format.
        check: How the export, loaded by what will serve it, compares with base and adapter.
        details: What only this format has to say, by the names of the JSON document.
    """

    output: str
    format: str
    check: EngineCheck
    details: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The fields of the contract, what checked it, and the details."""
        found = self.check.comparison
        return {
            "output": self.output,
            "format": self.format,
            "verified": self.check.verified,
            "max_abs_difference": found.max_abs_difference if found else None,
            "tolerance": found.tolerance if found else None,
            "engine": self.check.engine,
            "unverified_because": self.check.missing,
            **self.details,
        }
