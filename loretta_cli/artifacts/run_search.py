"""Finding runs: all below a folder, or the one that a name means. Imports no torch."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from loretta_cli.artifacts.run_folder import DEFAULT_PARENT, RunFolder
from loretta_cli.artifacts.run_state import FAILURE, RunState, failed_before_it_began, read_state
from loretta_cli.config import Config, load_config
from loretta_cli.errors import ConfigError, RunError
from loretta_cli.numerals import counted
from loretta_cli.registry import suggest

DEEPEST = 6
"""Folders below the one that is looked through."""
_TRACES = ("metrics.jsonl", "environment.json", "trajectory.jsonl", "report.json")
"""Files of a run beside its config; two of them are one that lost its config."""


def states_below(folder: Path) -> list[RunState]:
    """The state of every run in a folder and below, those of comparisons included, by their paths.

    The stages of a run of several tasks are part of it. A folder with a ``config.yaml`` of another program is
    no run.

    Args:
        folder: A run, or a folder with runs.
    """
    states = [read_state(path) for path in run_folders(folder)]
    known = {state.run.path for state in states}
    for failure in _failures(folder):
        state = failed_before_it_began(failure, _asked(failure))
        if state.run.path not in known:
            states.append(state)
    return sorted(states, key=lambda state: str(state.run.path))


def run_folders(folder: Path) -> list[Path]:
    """The folders of all runs in a folder and below.

    Args:
        folder: A run, or a folder with runs.
    """
    if is_run(folder):
        return [folder]
    return sorted(path for path in _folders(folder) if is_run(path))


def is_run(folder: Path) -> bool:
    """Whether a training wrote this folder, be it damaged or not."""
    traces = sum((folder / name).is_file() for name in _TRACES)
    return traces >= (1 if (folder / "config.yaml").is_file() else 2) or _has_our_config(folder)


def find_named(name: str) -> RunState:
    """The run that a name or a path means.

    Args:
        name: A folder; or the name of one in ``runs/``, or below it where there is one such name.

    Raises:
        RunError: If there is none, or more than one, with the nearest names.
    """
    path = Path(os.path.expanduser(name))
    in_runs = run_folders(DEFAULT_PARENT) if DEFAULT_PARENT.is_dir() else []
    for candidate in (path, DEFAULT_PARENT / path):
        if is_run(candidate):
            return read_state(candidate)
    alike = [run for run in in_runs if run.name == name]
    if len(alike) == 1:
        return read_state(alike[0])
    if alike:
        raise RunError(
            f"{name!r} is the name of {len(alike)} runs.",
            hint="Give one of: " + ", ".join(map(str, alike[:20])),
        )
    raise _not_found(name, path, in_runs)


def _not_found(name: str, path: Path, in_runs: list[Path]) -> RunError:
    if path.is_dir():
        around = next((parent for parent in path.absolute().parents[:3] if is_run(parent)), None)
        inside = run_folders(path)
        hint = f"See all runs: loretta runs {shlex.quote(str(path))}" if inside else ""
        if around is not None:
            hint = f"It is part of a run: loretta show {shlex.quote(os.path.relpath(around))}"
        missing = f": it holds {counted(len(inside), 'run')}" if inside else ": it has no config.yaml"
        return RunError(f"{path} is not a run folder{missing}.", hint=hint)
    beside = run_folders(path.parent) if path.parent != Path() and path.parent.is_dir() else in_runs
    names = {run.name: str(run) for run in beside}
    hint = suggest(path.name, names, plural="runs") if names else "Train one: loretta train quickstart"
    return RunError(f"There is no run {name}.", hint=hint)


def _has_our_config(folder: Path) -> bool:
    """Whether a training wrote the config: it has every section, which a recipe of that name has not."""
    try:
        config = RunFolder(folder).read_config()
    except (ConfigError, OSError):
        return False
    return {"model", "adapter", "task", "data", "training", "output"} <= config.model_fields_set


def _folders(folder: Path, depth: int = 0) -> Iterator[Path]:
    """The folders below, without hidden ones and those within runs; links are not followed."""
    for entry in _entries(folder):
        if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False):
            continue
        path = folder / entry.name
        yield path
        if depth < DEEPEST and not is_run(path):
            yield from _folders(path, depth + 1)


def _failures(folder: Path) -> list[Path]:
    if is_run(folder):
        return []
    places = [folder, *(path for path in _folders(folder) if not is_run(path))]
    return [
        place / entry.name for place in places for entry in _entries(place) if entry.name.endswith(FAILURE)
    ]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _asked(failure: Path) -> Config | None:
    try:
        return load_config(failure.with_name(failure.name.removesuffix(FAILURE) + ".yaml")).config
    except ConfigError:
        return None
