"""Choosing and ordering runs for a list. Imports the readers of runs; no torch."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from loretta_cli.artifacts.run_folder import DEFAULT_PARENT
from loretta_cli.artifacts.run_state import RunState
from loretta_cli.errors import ConfigError, RunError
from loretta_cli.methods import METHODS
from loretta_cli.registry import suggest
from loretta_cli.tasks import OWN, TASKS
from loretta_cli.tasks.base import LOWER_IS_BETTER

ORDERS = ("time", "metric", "size", "name")


def place_of_runs(asked: Path | None) -> Path:
    """The folder to look through: the one asked for, or ``runs``, which need not be there.

    Raises:
        RunError: If the folder asked for is missing, with the nearest name, or is a file.
    """
    place = DEFAULT_PARENT if asked is None else Path(os.path.expanduser(asked))
    if place.is_dir() or (asked is None and not place.exists()):
        return place
    if place.exists():
        raise RunError(f"{place} is a file; expected a folder with runs.", hint="Give the folder it is in.")
    if (DEFAULT_PARENT / place).is_dir():
        raise RunError(
            f"There is no folder {place}.",
            hint=f"The run {DEFAULT_PARENT / place}: loretta show {shlex.quote(str(place))}",
        )
    parent = place.parent
    beside = parent.iterdir() if parent.is_dir() else ()
    names = [path.name for path in beside if path.is_dir() and not path.name.startswith(".")]
    hint = suggest(place.name, names, plural="folders") if names else "Unset, it is the folder runs."
    raise RunError(f"There is no folder {place}.", hint=hint)


def check_order(name: str) -> None:
    """Refuse an order that there is not.

    Raises:
        ConfigError: With the nearest one.
    """
    _check("order", [name], ORDERS)


def chosen(states: Sequence[RunState], tasks: Sequence[str], methods: Sequence[str]) -> list[RunState]:
    """The runs of any of the tasks and any of the methods; of all, where none is named.

    Raises:
        ConfigError: If neither we nor any of the runs knows a name, with the nearest one.
    """
    _check("task", tasks, {*TASKS, *OWN, *(name for state in states for name in state.tasks)})
    _check("method", methods, {*METHODS, *(state.method for state in states if state.method)})
    return [
        state
        for state in states
        if (not tasks or set(tasks).intersection(state.tasks)) and (not methods or state.method in methods)
    ]


def ordered(states: Sequence[RunState], order: str) -> list[RunState]:
    """By ``time`` (newest first), ``metric`` (best first), ``size`` (largest first) or ``name``."""
    if order == "metric":
        return sorted(states, key=_by_metric)
    if order == "size":
        return sorted(states, key=lambda state: -folder_size(state.run.path))
    if order == "name":
        return sorted(states, key=lambda state: str(state.run.path))
    return sorted(states, key=lambda state: -state.changed_at)


def folder_size(folder: Path) -> int:
    """Bytes of all files below; files that vanish meanwhile do not count.

    Args:
        folder: Of a run, which may be in training.
    """
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:
                continue
    return total


def _by_metric(state: RunState) -> tuple[bool, str, float]:
    """One metric after the other, each with its best first; runs without a score last."""
    metric, score = state.main_metric or "", state.score
    if score is None:
        return True, metric, math.inf
    return False, metric, score if metric in LOWER_IS_BETTER else -score


def _check(kind: str, asked: Iterable[str], known: Iterable[str]) -> None:
    choices = list(known)
    for name in asked:
        if name not in choices:
            raise ConfigError(f"Unknown {kind} {name!r}.", hint=suggest(name, choices, plural=f"{kind}s"))
