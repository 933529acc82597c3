"""Runs of the tiny encoder that a watch is over, for the tests of what it says. Imports no pytest."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import torch

from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.config import Config, load_config
from loretta_cli.report import SilentReporter
from loretta_cli.training.run import train
from loretta_cli.training.watching.settings import Watched
from tests.training.trainers import PLAIN, config_of

ZO = ("training.gradient=zo", "zo.epsilon=0.001", "zo.backend=sequential")
RHYTHM = ("training.max_steps=12", "training.evaluate_every=4", "training.log_every=4")
_FLAGS = {"--gradient": "training.gradient"}
_FLAG = re.compile(r"(?:--set [\w.]+=[\w.:/-]+|--gradient zo)(?: --set [\w.]+=[\w.:/-]+)*")


@dataclass
class Listener(SilentReporter):
    """Keeps the warnings."""

    warnings: list[str] = field(default_factory=list)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def warnings_of(place: Path, folder: Path, *settings: str, method: str = "rep") -> list[str]:
    """What a run warns of."""
    listener = Listener()
    train(config_of(place, *RHYTHM, *settings, method=method), folder, listener)
    return listener.warnings


def flags_in(text: str) -> list[str]:
    """Every remedy in a message: the flags that are to be given together."""
    return [found.rstrip(".") for found in _FLAG.findall(text)]


def taken(config: Config, flags: str) -> Config:
    """The config with flags added to what was asked; fails as ``loretta train`` would."""
    words = shlex.split(flags)
    pairs = list(zip(words[::2], words[1::2], strict=True))
    given = {_FLAGS[name]: value for name, value in pairs if name in _FLAGS}
    return load_config(
        None, {**_given(config), **given}, [value for name, value in pairs if name == "--set"]
    ).config


def _given(config: Config) -> dict[str, object]:
    """What was asked, by dotted key."""
    return {
        f"{section}.{name}": value
        for section, values in config.model_dump(exclude_defaults=True).items()
        for name, value in values.items()
        if value is not None and not isinstance(value, dict)
    }


def watched(
    tmp_path: Path, *settings: str, dtype: torch.dtype = torch.float32, method: str = "rep"
) -> Watched:
    """A training that is watched, without any."""
    config = load_config(None, {"adapter.method": method}, ["training.learning_rate=0.001", *settings]).config
    return Watched(config, dtype, RunFolder(tmp_path / "run"))


__all__ = ["PLAIN", "RHYTHM", "ZO", "Listener", "flags_in", "taken", "warnings_of", "watched"]
