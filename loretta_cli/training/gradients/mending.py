"""What mends a training whose gradients cannot be estimated: settings, as they would be typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loretta_cli.training.gradients.base import TrainingRun
from loretta_cli.training.watching.settings import Watched, either


@dataclass(frozen=True, slots=True)
class Mending:
    """The flags of a training.

    Args:
        numbers: Where the losses are not finite.
        slower: Where they explode.
    """

    numbers: str = "--set model.dtype=float32"
    slower: str = "a lower training.learning_rate"


def mending_of(run: TrainingRun) -> Mending:
    """The flags of a run: of those that it has not."""
    base: Any = run.model.get_base_model()
    watched = Watched(run.config, base.dtype, run.folder)
    return Mending(watched.numbers_again(), either([watched.rate_times(0.1), *watched.finer()]))
