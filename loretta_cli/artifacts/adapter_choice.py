"""Which adapter of a run is meant: the finished one, the best so far, or that of the last checkpoint."""

from __future__ import annotations

import shlex
from pathlib import Path

from loretta_cli.artifacts.adapter_files import SETTINGS
from loretta_cli.artifacts.checkpoints import last_complete
from loretta_cli.artifacts.run_folder import RunFolder, find_run
from loretta_cli.errors import ConfigError, RunError
from loretta_cli.registry import suggest

CHOICES = ("best", "last")


def find_adapter(path: Path, which: str | None, *, base: str | None = None) -> tuple[RunFolder, Path | None]:
    """A run, and the folder of the adapter that is meant, if that is not its finished one.

    Args:
        path: The run folder.
        which: ``best``: the adapter that won; of a run that is not finished, the best so far. ``last``: that
            of the last checkpoint, also of a run that is being trained. None: the finished one.
        base: Where the base model is, if no longer where it was trained.

    Raises:
        ConfigError: If ``which`` is neither.
        RunError: If the folder is no run, or has no such adapter.
    """
    if which is None:
        return _finished(path, base), None
    if which not in CHOICES:
        raise ConfigError(
            f"--checkpoint is {which!r}; expected {' or '.join(CHOICES)}.",
            hint=suggest(which, CHOICES, plural="checkpoints"),
        )
    run = find_run(path, base=base, unfinished=True)
    if run.stages:
        raise ConfigError(
            "--checkpoint is for a run of one task, and this one is of several.",
            hint=f"Choose the run of one of them, such as {shlex.quote(str(run.stages[0].path))}.",
        )
    if which == "best":
        if has_adapter(run.adapter):
            return run, None
        if has_adapter(run.best):
            return run, run.best
        raise RunError(f"The run {path} has no best adapter yet.", hint="It has one after an evaluation.")
    checkpoint = last_complete(run.checkpoints)
    if checkpoint is None:
        raise RunError(
            f"The run {path} has no complete checkpoint.", hint="Leave --checkpoint out, or train further."
        )
    return run, checkpoint


def _finished(path: Path, base: str | None) -> RunFolder:
    try:
        return find_run(path, base=base)
    except RunError as error:
        if not has_adapter(path / "best"):
            raise
        if not (path / "config.yaml").is_file():
            raise
        if RunFolder(path).finished:  # to go on with the training would bring nothing back
            best = shlex.quote(str(path / "best"))
            message = f"The adapter of the finished run {path} has no {SETTINGS}."
            raise RunError(message, hint=f"{best} is a copy: put it in the place of adapter.") from error
        hint = f"{error.hint}. The best so far is asked with --checkpoint best."
        raise RunError(error.message, hint=hint) from error


def has_adapter(folder: Path) -> bool:
    """Whether an adapter lies in a folder."""
    return (folder / SETTINGS).is_file()
