"""The commands that make sense for a run now. Imports artifacts and methods; no torch."""

from __future__ import annotations

import shlex
from pathlib import Path

from loretta_cli.config import Config
from loretta_cli.methods import MERGED


def of_finished(folder: Path, config: Config) -> list[str]:
    """Try it, score it, merge it where that can be, and hand it on.

    Args:
        folder: The run.
        config: Its settings.
    """
    run, method = shlex.quote(str(folder)), config.adapter.method
    # A run of several tasks is asked for one of them.
    of_task = f" --task {config.task.names[-1]}" if config.task.names else ""
    commands = [f"loretta predict {run}{of_task}", f"loretta eval {run}"]
    if method in MERGED:
        undo = " --dequantize" if config.model.quantization else ""
        commands.append(f"loretta merge {run}{undo} --output {_inside(folder, 'merged')}")
    if (kind := {"rep": "lora", "adp": "adapter", "adapters": "adapter"}.get(method)) is not None:
        commands.append(f"loretta export {run} --format {kind} --output {_inside(folder, kind_folder(kind))}")
    return commands


def kind_folder(kind: str) -> str:
    """Where an export goes by default of these commands; ``adapter`` is the run's own."""
    return "bottlenecks" if kind == "adapter" else kind


def of_unfinished(folder: Path) -> list[str]:
    """Go on.

    Args:
        folder: The run.
    """
    return [f"loretta train --output {shlex.quote(str(folder))} --resume"]


def _inside(folder: Path, name: str) -> str:
    return shlex.quote(str(folder / name))
