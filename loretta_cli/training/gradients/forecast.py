"""What a training will do, in numbers: steps, warm-up, evaluations, forward passes. Nothing is trained."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from loretta_cli.config import Config
from loretta_cli.training.gradients.length import forward_passes_to_start, length_of_training
from loretta_cli.training.gradients.query_schedules import passes_of, queries_at


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a training will do.

    Args:
        steps: Optimizer steps.
        epochs: Passes over the rows, the last one perhaps not to its end.
        warmup_steps: Steps in which the learning rate rises.
        evaluations: Of the rows that choose the checkpoint; each is followed by a checkpoint.
        forward_passes: Over batches to train on; with early stopping, the most.
        start_passes: The most of them that are taken before the first step.
    """

    steps: int
    epochs: int
    warmup_steps: int
    evaluations: int
    forward_passes: int
    start_passes: int = 0

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)


def forecast(config: Config, rows: int) -> Forecast:
    """Foresee a training.

    Args:
        config: With all filled in.
        rows: To train on.

    Raises:
        ConfigError: As the training would, if its budget of forward passes is too small.
    """
    training = config.training
    length = length_of_training(config, rows)
    batches = math.ceil(rows / training.batch_size)
    steps_an_epoch = math.ceil(batches / training.gradient_accumulation)
    whole, rest = divmod(length.steps, steps_an_epoch)
    # The last step of an epoch sums up what batches are left.
    batches_done = whole * batches + rest * training.gradient_accumulation
    every, warmup = training.evaluate_every, training.warmup
    start = 0
    if training.gradient == "zo":
        start = sum(forward_passes_to_start(config, length.epochs))
        passes = 0
        for epoch in range(1, length.epochs + 1):
            part = batches if epoch <= whole else batches_done - whole * batches
            passes += part * passes_of(config.zo, queries_at(config.zo, epoch, length.epochs))
        passes += start
        if config.zo.max_forward_passes is not None:
            passes = min(passes, config.zo.max_forward_passes)
    else:
        passes = batches_done
    return Forecast(
        steps=length.steps,
        epochs=length.epochs,
        warmup_steps=int(warmup) if warmup >= 1 else math.ceil(length.steps * warmup),
        evaluations=length.epochs if every is None else math.ceil(length.steps / every),
        forward_passes=passes,
        start_passes=start,
    )
