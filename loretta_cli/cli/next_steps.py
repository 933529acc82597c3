"""The commands that make sense for a run now. Imports artifacts and methods; no torch."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from loretta_cli.artifacts.run_settings import value_of
from loretta_cli.config import Config, setting_fields
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


def of_best(folder: Path) -> list[str]:
    """Try and score the best adapter so far.

    Args:
        folder: The run, which has one.
    """
    run = shlex.quote(str(folder))
    return [f"loretta predict {run} --checkpoint best", f"loretta eval {run} --checkpoint best"]


def of_merged(folder: Path, config: Config) -> list[str]:
    """Score the merged model as the run was, where its data is a source of several splits.

    A source that is one file would count whole, the rows that were trained on included.

    Args:
        folder: Of the merged model.
        config: Of the run.
    """
    source = config.data.source
    if config.task.name is None or (source is not None and Path(source).is_file()):
        return []
    words = ["loretta", "eval", "--model", str(folder), "--task", config.task.name]
    words += ["--data", source] if source is not None else []
    for key, field in setting_fields().items():
        value = value_of(config, key)
        if value is not None and value != field.default and _counts(key, config):
            words += ["--set", f"{key}={_as_given(value)}"]
    words += ["--trust-remote-code"] if config.model.trust_remote_code else []
    return [shlex.join(words)]


_NOT_OF_A_MODEL = ("task.name", "task.names", "task.shared_head", "data.source", "data.train_rows")


def _counts(key: str, config: Config) -> bool:
    """Whether a setting of a run says how rows are asked and scored; a head knows its labels."""
    if key in _NOT_OF_A_MODEL or key.startswith("data.selection"):
        return False
    if key == "data.labels" and config.task.form == "classification":
        return False
    return key.startswith(("task.", "data."))


def _as_given(value: object) -> str:
    """A value as ``--set`` takes it: words as they are, all else as JSON."""
    is_word = isinstance(value, str) and value.isidentifier()
    return str(value) if is_word else json.dumps(value, ensure_ascii=False)


def card_of(folder: Path) -> str:
    """Where it is said how an export or a merged model is loaded."""
    return f"How to load it: {folder / 'README.md'}"


def _inside(folder: Path, name: str) -> str:
    return shlex.quote(str(folder / name))
