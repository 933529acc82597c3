"""What the shell proposes for runs, recipes, tasks and methods. Imports nothing heavy: it is waited for.

A proposal never fails: what cannot be read is not proposed. Where nothing is, the shell proposes files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

CONFIG = "config.yaml"
RUNS = "runs"


def runs(incomplete: str) -> list[str]:
    """Run folders: in the folder that is typed, whose other folders lead on; else those here and in runs/."""
    place, slash, _ = incomplete.rpartition("/")
    if slash:
        return _starting(_below(place or "/", leading_on=True), incomplete)
    return _starting([*_below(RUNS), *_below("")], incomplete)


def recipes(incomplete: str) -> list[str]:
    """Names of shipped recipes."""
    from loretta_cli.config import shipped_recipes

    return _starting(shipped_recipes(), incomplete)


def tasks(incomplete: str) -> list[str]:
    """Names of tasks; of a list with commas, the last one."""
    from loretta_cli.tasks import OWN, TASKS

    return _last_of_list([*OWN, *TASKS], incomplete)


def methods(incomplete: str) -> list[str]:
    """Names of methods; of a list with commas, the last one."""
    from loretta_cli.methods import METHODS

    return _last_of_list(METHODS, incomplete)


def presets(incomplete: str) -> list[str]:
    """Names of presets."""
    return _starting(("auto", "paper", "standard", "lean"), incomplete)


def checkpoints(incomplete: str) -> list[str]:
    """What ``--checkpoint`` takes."""
    return _starting(("best", "last"), incomplete)


def formats(incomplete: str) -> list[str]:
    """Names of export formats."""
    from loretta_cli.artifacts.export import FORMATS

    return _starting(FORMATS, incomplete)


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _last_of_list(names: Iterable[str], incomplete: str) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in _starting(names, last)]


def _below(place: str, *, leading_on: bool = False) -> list[str]:
    """The paths of the runs in a folder, and of its other folders if those lead on."""
    root = os.path.expanduser(place)
    try:
        with os.scandir(root or ".") as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir() and entry.name[0] != ".")
    except OSError:
        return []
    paths = []
    for name in names:
        path = os.path.join(place, name) if place else name
        if os.path.isfile(os.path.join(root, name, CONFIG)):
            paths.append(path)
        elif leading_on:
            paths.append(f"{path}/")
    return paths
