"""The reporter behind ``--json``: stdout holds exactly one JSON document, on failure too.

Imports :mod:`credentials` and :mod:`report.plain`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, TextIO

from loretta_cli.credentials import without_credentials
from loretta_cli.report.plain import PlainReporter

if TYPE_CHECKING:
    from loretta_cli.errors import LorettaError

SCHEMA_VERSION = 1


class JsonReporter(PlainReporter):
    """Writes the result as one JSON document and talks on stderr as :class:`PlainReporter` does.

    Args:
        stdout: Where the document goes; the process's own stdout if None.
        stderr: Where everything else goes; the process's own stderr if None.
        lines: Whether there are many results, each one document on a line of its own.
    """

    def __init__(
        self, stdout: TextIO | None = None, stderr: TextIO | None = None, *, lines: bool = False
    ) -> None:
        super().__init__(stdout, stderr)
        self._lines = lines
        self._is_written = False

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write nothing: the document holds the same facts."""

    def line(self, text: str) -> None:
        """Write nothing: the document holds the same facts."""

    def marked(self, pieces: Sequence[tuple[str, bool]]) -> None:
        """Write nothing: the document holds the same facts."""

    def next_commands(self, commands: Sequence[str]) -> None:
        """Write nothing: they are for people."""

    def result(self, payload: Mapping[str, object]) -> None:
        """Write the document, or one of the lines: ``payload`` and ``schema_version``.

        Raises:
            RuntimeError: If the one document is written already.
            TypeError: If a value has no JSON form.
        """
        if self._is_written and not self._lines:
            raise RuntimeError("The JSON document is written already; a command has one result.")
        document = json_ready({**payload, "schema_version": SCHEMA_VERSION})
        # ASCII escapes, so that no locale can spoil the document; built in full before a byte goes out.
        text = json.dumps(document, indent=None if self._lines else 2, allow_nan=False)
        self._is_written = True
        self._stdout.write(text + "\n")
        if self._lines:
            self._stdout.flush()  # whoever reads them need not wait for the last one

    def failure(self, error: LorettaError) -> None:
        """Write the error to stderr, and as the document unless one is written already."""
        super().failure(error)
        if self._lines or not self._is_written:
            said = {name: without_credentials(getattr(error, name)) for name in ("message", "hint")}
            self.result({"error": {"type": type(error).__name__, **said}})


def json_ready(value: object) -> object:
    """``value`` in types that JSON has.

    Args:
        value: Numbers (numpy's and torch's scalars too), text, paths, enums, dataclasses, mappings and
            sequences of these.

    Returns:
        The same with NaN and infinities as None and paths as text; an unknown type is left as it is.
    """
    value = _unwrapped(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [json_ready(item) for item in value]
    return value


def _unwrapped(value: object) -> object:
    """Take a value out of what it comes in: an enum, a dataclass, a path, an array or its scalar."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, PurePath):
        return str(value)
    return value.tolist() if hasattr(value, "tolist") else value
