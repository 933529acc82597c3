"""The run folder: its files by name, making one, finding one. Imports config and errors, no torch."""

from __future__ import annotations

import difflib
import json
import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loretta_cli.artifacts.files import check_writable, explained, read_text
from loretta_cli.artifacts.run_lock import check_not_running
from loretta_cli.config import Config, read_run_config, write_config
from loretta_cli.errors import ConfigError, OutputError, RunError

DEFAULT_PARENT = Path("runs")
OWN_NAMES = (
    *("config.yaml", "environment.json", "metrics.jsonl", "metrics.csv", "curves.png", "README.md"),
    *("report.json", "adapter", "best", "checkpoints", "start", "trajectory.jsonl"),
    *("stages", "forgetting.md", "forgetting.csv", "forgetting.png", "fingerprints.json"),
    *("origins.json", "running.lock", "throughput.jsonl", "tensorboard", "wandb"),
)
"""What a run writes; ``--overwrite`` removes these and nothing else."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A folder with everything of one run. The names in it are a contract.

    Args:
        path: The folder.
        base: Where its base model is, if no longer where it was trained.
    """

    path: Path
    base: str | None = None

    @property
    def config_file(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    @property
    def origins_file(self) -> Path:
        """Where each value of the config was given."""
        return self.path / "origins.json"

    @property
    def environment_file(self) -> Path:
        """Versions, device, command line."""
        return self.path / "environment.json"

    @property
    def fingerprints_file(self) -> Path:
        """Checksums of the base model's weight files and of the finished adapter."""
        return self.path / "fingerprints.json"

    @property
    def metrics_file(self) -> Path:
        """One JSON object a line: step, split, values."""
        return self.path / "metrics.jsonl"

    @property
    def metrics_table(self) -> Path:
        """The same as CSV, written at the end."""
        return self.path / "metrics.csv"

    @property
    def throughput_file(self) -> Path:
        """How fast each log interval went: one JSON object a line."""
        return self.path / "throughput.jsonl"

    @property
    def save_request(self) -> Path:
        """A file that the user touches to have a checkpoint written now."""
        return self.path / "save"

    @property
    def tensorboard(self) -> Path:
        """The event files of TensorBoard, where that is asked for."""
        return self.path / "tensorboard"

    @property
    def curves(self) -> Path:
        """The curves as a picture."""
        return self.path / "curves.png"

    @property
    def adapter(self) -> Path:
        """The finished adapter, in PEFT's layout."""
        return self.path / "adapter"

    @property
    def best(self) -> Path:
        """The best adapter so far, in PEFT's layout."""
        return self.path / "best"

    @property
    def checkpoints(self) -> Path:
        """Trainer's checkpoints."""
        return self.path / "checkpoints"

    @property
    def start(self) -> Path:
        """Of a zeroth-order training: the adapter before the first step, in PEFT's layout."""
        return self.path / "start"

    @property
    def trajectory(self) -> Path:
        """Of a zeroth-order training: a header, then one JSON object a step."""
        return self.path / "trajectory.jsonl"

    @property
    def card(self) -> Path:
        """The model card."""
        return self.path / "README.md"

    @property
    def report_file(self) -> Path:
        """The report; a run that has it is finished."""
        return self.path / "report.json"

    @property
    def forgetting(self) -> Path:
        """Of several tasks: the scores after each stage, as Markdown; ``.csv`` and ``.png`` beside it."""
        return self.path / "forgetting.md"

    @property
    def stages(self) -> tuple[RunFolder, ...]:
        """Of several tasks: a run folder for each, in their order, made yet or not; of one task none."""
        names = self.read_config().task.names or ()
        return tuple(
            RunFolder(self.path / "stages" / f"{number}-{name}", self.base)
            for number, name in enumerate(names, 1)
        )

    @property
    def last_stage(self) -> RunFolder:
        """Of several tasks the run of the last one, which has the finished adapter; of one task this run."""
        return (self, *self.stages)[-1]

    @property
    def finished(self) -> bool:
        """Whether training ended and everything was written."""
        return self.report_file.is_file()

    def read_config(self) -> Config:
        """The resolved config of the run, with its base model where that is now."""
        config = read_run_config(self.config_file)
        if self.base is None:
            return config
        # A revision is one of the place where the model was.
        model = config.model.model_copy(update={"name": self.base, "revision": None})
        return config.model_copy(update={"model": model})

    def read_report(self) -> dict[str, Any]:
        """The report of a finished run.

        Raises:
            RunError: If it is missing or broken.
        """
        try:
            report = json.loads(read_text(self.report_file))
        except (OSError, ValueError) as error:
            raise RunError(f"The run {self.path} has no readable report.json.") from error
        if not isinstance(report, dict):
            raise RunError(f"The report.json of the run {self.path} is not an object.")
        return report


def find_run(path: Path, *, base: str | None = None, unfinished: bool = False) -> RunFolder:
    """An existing run with an adapter.

    Args:
        path: The folder.
        base: Where its base model is, if no longer where it was trained.
        unfinished: Whether a run without its finished adapter will do.

    Raises:
        RunError: If the folder is missing, is no run, or has no adapter yet.
    """
    run = RunFolder(path, base)
    if not path.is_dir():
        raise RunError(f"There is no run folder {path}.", hint=_where_runs_are(path))
    if not run.config_file.is_file():
        hint = "Give the folder that `loretta train` wrote, not the adapter in it."
        if (path / "config.json").is_file():
            hint += f" A model is evaluated with: loretta eval --model {shlex.quote(str(path))} --task NAME"
        raise RunError(f"{path} is not a run folder: it has no config.yaml.", hint=hint)
    if not unfinished and not (run.adapter / "adapter_config.json").is_file():
        raise RunError(
            f"The run {path} has no finished adapter.",
            hint=f"Finish it: loretta train --output {shlex.quote(str(path))} --resume",
        )
    return run


def _where_runs_are(path: Path) -> str:
    """The run in the usual folder that was meant, if there is one of such a name."""
    folders = DEFAULT_PARENT.glob("*/config.yaml") if DEFAULT_PARENT.is_dir() else ()
    names = [one.parent.name for one in folders]
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {shlex.quote(str(DEFAULT_PARENT / near[0]))}? `loretta runs` lists all."
    return "Give the folder that `loretta train` wrote; `loretta runs` lists those in runs/."


def file_name(text: str) -> str:
    """A text as part of a file's name."""
    return "".join(letter if letter.isalnum() or letter in "._+=" else "-" for letter in text).lower()


def short_model(name: str) -> str:
    """The last part of a model's name or path."""
    return name.rstrip("/").rpartition("/")[2].removeprefix("bundled:")


def choose_folder(asked: str | None, name: str) -> Path:
    """The folder for a new run: the one asked for, or a new one below ``runs/``."""
    if asked is not None:
        return Path(os.path.expanduser(asked))
    path, number = DEFAULT_PARENT / name, 1
    while path.exists():
        number += 1
        path = DEFAULT_PARENT / f"{name}-{number}"
    return path


def check_free(path: Path, *, overwrite: bool) -> None:
    """Refuse a folder that a new run cannot have, before any work is done.

    Raises:
        OutputError: If it is taken, or cannot be written.
        RunError: If it is to be replaced while a process trains it.
    """
    with explained(path):
        if path.exists() and not path.is_dir():
            raise OutputError(
                f"The output {path} is a file; expected a folder.", hint="Choose another --output."
            )
        if path.is_dir() and any(path.iterdir()):
            is_run = _is_run(path)
            if not overwrite:
                raise OutputError(
                    f"The output folder {path} exists and is not empty.",
                    hint="Add --resume to go on with it, --overwrite to start it anew, or choose another "
                    "--output."
                    if is_run
                    else "Choose another --output.",
                )
            if not is_run:
                raise OutputError(
                    f"--overwrite replaces runs only, and {path} is not one: it has no config.yaml of a run.",
                    hint="Choose another --output, or empty the folder yourself.",
                )
            check_not_running(path)
        check_writable(path)


def _is_run(path: Path) -> bool:
    """Whether the folder has a config of ours."""
    try:
        read_run_config(path / "config.yaml")
    except ConfigError:
        return False
    return True


def remove_run(path: Path) -> None:
    """Remove what a run wrote, and nothing else."""
    for name in OWN_NAMES:
        item = path / name
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item)
        else:
            item.unlink(missing_ok=True)


def create_run(path: Path, config: Config, *, overwrite: bool) -> RunFolder:
    """Make the folder and write the config into it.

    Raises:
        OutputError: If it cannot be written.
    """
    check_free(path, overwrite=overwrite)
    run = RunFolder(path)
    with explained(path):
        if overwrite:
            remove_run(path)
        path.mkdir(parents=True, exist_ok=True)
        write_config(config, run.config_file)
    return run
