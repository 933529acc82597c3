"""The engines that serve exports, run here to check them; llama.cpp in a process of its own."""

from __future__ import annotations

from loretta_cli.errors import ExportError


class EngineError(ExportError):
    """An engine could not load a file, or broke down over it."""


__all__ = ["EngineError"]
