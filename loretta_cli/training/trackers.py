"""The trackers that a run may pass its numbers on to, if the user names them: ``training.trackers``.

A tracker that is not named is never imported, and nothing is sent anywhere. TensorBoard writes into the run
folder; trackio into its own folder on this machine, unless its variables name a server; wandb to its service,
or into the run folder where ``WANDB_MODE`` says ``offline``, or ``HF_HUB_OFFLINE`` is set and ``WANDB_MODE``
is not. They get the name of the run, its resolved settings and what ``metrics.jsonl`` and
``throughput.jsonl`` get. Imports no torch at the top: the command line asks here what is installed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import shlex
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import yaml

from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.config import Config
from loretta_cli.errors import ConfigError

PROJECT = "loretta"
"""Under which wandb and trackio put the runs; of wandb, ``WANDB_PROJECT`` names another."""
_WANDB_ID = "loretta-id"
_WANDB_QUIET = {
    "console": "off",  # it would take hold of the screen, and send what stands there
    "disable_code": True,
    "disable_git": True,
    "disable_job_creation": True,
    "quiet": True,
    "save_code": False,
    "x_disable_meta": True,  # the command line, the machine, its user
    "x_disable_stats": True,
}


class Tracker(Protocol):
    """Takes the numbers of one run."""

    look: str
    """How the user looks at them."""

    def record(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Take the values of a split after a step; all are finite."""

    def close(self, *, failed: bool) -> None:
        """Write what is left."""


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers that are not installed.

    Raises:
        ConfigError: With the line that installs them.
    """
    missing = [name for name in dict.fromkeys(names) if not _is_installed(name)]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        raise ConfigError(
            f"training.trackers names {' and '.join(missing)}, which {are} not installed.",
            hint=f"Install: pip install {' '.join(missing)} (all of them: pip install 'loretta-cli[track]'), "
            "or leave the name out.",
        )


def start_trackers(config: Config, run: RunFolder, *, taken: int | None) -> dict[str, Tracker]:
    """The named trackers of a run, ready to take its numbers.

    Args:
        config: Resolved.
        run: The run folder.
        taken: Of a run that is resumed, the steps that count; None of a new one.

    Raises:
        ConfigError: If one is not installed, or does not start.
    """
    names = dict.fromkeys(config.training.trackers)
    check_trackers(list(names))
    started: dict[str, Tracker] = {}
    for name in names:
        try:
            started[name] = _TRACKERS[name](config, run, taken)
        except Exception as error:  # theirs may be anything, and a login that is missing is one of them
            for tracker in started.values():
                tracker.close(failed=True)
            raise ConfigError(
                f"The tracker {name} did not start: {' '.join(str(error).split())}.",
                hint="wandb needs `wandb login`, or WANDB_MODE=offline; or leave the name out of "
                "training.trackers."
                if name == "wandb"
                else f"Mend it, or leave {name} out of training.trackers.",
            ) from error
    return started


def run_title(run: RunFolder) -> str:
    """The name of a run: that of its folder and, of a stage, that of the whole run before it."""
    path = run.path.absolute()
    return f"{path.parent.parent.name}/{path.name}" if path.parent.name == "stages" else path.name


class TensorBoard:
    """Event files in the folder ``tensorboard`` of the run."""

    def __init__(self, config: Config, run: RunFolder, taken: int | None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.look = f"tensorboard --logdir {shlex.quote(str(run.tensorboard))}"
        # What an earlier part wrote of later steps is hidden.
        purge = None if taken is None else taken + 1
        self._writer: Any = SummaryWriter(str(run.tensorboard), purge_step=purge)
        if taken is None:
            text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
            self._writer.add_text("config", "\n".join(f"    {line}" for line in text.splitlines()))

    def record(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """One scalar for each value, below the name of the split."""
        for name, value in values.items():
            self._writer.add_scalar(f"{split}/{name}", value, step)
        self._writer.flush()

    def close(self, *, failed: bool) -> None:
        """Close the file."""
        self._writer.close()


class Trackio:
    """A run of the project ``loretta``, on this machine."""

    def __init__(self, config: Config, run: RunFolder, taken: int | None) -> None:
        import trackio

        self.look = f"trackio show --project {PROJECT}"
        with _stdout_is_for_results():
            self._run: Any = trackio.init(
                project=PROJECT,
                name=run_title(run),
                config=config.model_dump(mode="json"),
                resume="never" if taken is None else "allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

    def record(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """All values in one record."""
        with _stdout_is_for_results():
            self._run.log({f"{split}/{name}": value for name, value in values.items()}, step=step)

    def close(self, *, failed: bool) -> None:
        """Wait until all is written."""
        with _stdout_is_for_results():
            self._run.finish()


class WeightsAndBiases:
    """A run of the service, or of its offline mode, in the folder ``wandb`` of the run."""

    def __init__(self, config: Config, run: RunFolder, taken: int | None) -> None:
        import wandb

        self.look = "see what wandb says above"
        known = wandb.Settings.model_fields
        settings = {name: value for name, value in _WANDB_QUIET.items() if name in known}
        with _stdout_is_for_results():
            self._run: Any = wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                name=run_title(run),
                id=_wandb_id(run.path / "wandb" / _WANDB_ID, is_new=taken is None),
                resume="allow",
                dir=str(run.path),
                config=config.model_dump(mode="json"),
                mode=_wandb_mode(os.environ),
                settings=wandb.Settings(**settings),
            )
        # A resumed run takes steps again, and wandb's own count of steps cannot go back.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def record(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """All values in one record, with the step as a value of its own."""
        self._run.log({"step": step, **{f"{split}/{name}": value for name, value in values.items()}})

    def close(self, *, failed: bool) -> None:
        """Wait until all is written or sent."""
        with _stdout_is_for_results():
            self._run.finish(exit_code=int(failed))


_TRACKERS: dict[str, Callable[[Config, RunFolder, int | None], Tracker]] = {
    "tensorboard": TensorBoard,
    "trackio": Trackio,
    "wandb": WeightsAndBiases,
}


def _is_installed(name: str) -> bool:
    if name in sys.modules:
        return sys.modules[name] is not None
    return importlib.util.find_spec(name) is not None


def _wandb_mode(environment: Mapping[str, str]) -> Any:
    """None where wandb decides by ``WANDB_MODE``; who wants the hub left alone wants no other call either."""
    is_offline = environment.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    return "offline" if is_offline and "WANDB_MODE" not in environment else None


def _wandb_id(file: Path, *, is_new: bool) -> str:
    """The id under which wandb knows the run: a resumed one keeps it."""
    if is_new or not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(uuid.uuid4().hex[:12], encoding="ascii")
    return file.read_text(encoding="ascii").strip()


def _stdout_is_for_results() -> contextlib.AbstractContextManager[Any]:
    """What a tracker prints there is not said: it may have colours in it, and hints for notebooks."""
    return contextlib.redirect_stdout(io.StringIO())
