"""Whether anything lies where a run's base model was. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.errors import RunError

POINT_AT_IT = "Say where it is now with --base FOLDER."
"""The hint of the commands that have the flag."""
EDIT_CONFIG = "Put it back, or write where it is now into model.name of the run's config.yaml."
"""The hint where training goes on, which has no such flag."""


def check_base_is_there(run: RunFolder, *, hint: str = POINT_AT_IT) -> None:
    """Refuse a run whose base model was in a folder that is gone.

    Args:
        run: The run.
        hint: How to say where it is now.

    Raises:
        RunError: Naming the folder.
    """
    name = run.read_config().model.name or ""
    if Path(name).is_absolute() and not Path(name).exists():
        raise RunError(f"The base model of the run {run.path} is not in {name}: nothing is there.", hint=hint)
