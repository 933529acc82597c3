"""The exceptions a user can meet, each with a hint and an exit code.

::

    LorettaError                 exit 1
    ├── ConfigError              exit 2   a recipe, flag or setting is wrong
    ├── DataError                exit 2   a data file, row or column is wrong
    ├── ModelError               exit 2   a model cannot be found, read or adapted
    ├── OutputError              exit 2   the place to write to cannot be used
    ├── RunError                 exit 2   a run folder is missing or incomplete
    ├── TrainingError            exit 1   training or an evaluation started and failed
    └── ExportError              exit 1   a merge or an export failed its check

    Interrupted                  exit 130 no error: the user, or the system, said stop

Only the command line prints these and exits; the library raises them. Imports nothing.
"""

from __future__ import annotations

from collections.abc import Sequence


class LorettaError(Exception):
    """Base of every error raised for a reason that the user can act on.

    Args:
        message: One sentence: what was found and what was expected.
        hint: How to fix it, or an empty string.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(LorettaError):
    """A recipe, a flag or a setting is wrong.

    Args:
        message: As of every error; a list, where several things are wrong.
        hint: As of every error.
        parts: Of such a list, the sentence and the hint of each entry.
    """

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "", parts: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message, hint=hint)
        self.parts = tuple(parts)


class DataError(LorettaError):
    """A data file, a row or a column is wrong."""

    exit_code = 2


class ModelError(LorettaError):
    """A model cannot be found, read, or adapted as asked."""

    exit_code = 2


class OutputError(LorettaError):
    """The folder to write to exists already or cannot be written."""

    exit_code = 2


class RunError(LorettaError):
    """A run folder is missing, incomplete, or does not fit the command."""

    exit_code = 2


class TrainingError(LorettaError):
    """Training or an evaluation started and could not go on."""


class ExportError(LorettaError):
    """A merge or an export was made and failed its check."""


class Interrupted(KeyboardInterrupt):
    """Stopped because a signal asked for it.

    Args:
        message: How far the work came.
        hint: How to go on, or an empty string.
    """

    def __init__(self, message: str = "Interrupted.", *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
