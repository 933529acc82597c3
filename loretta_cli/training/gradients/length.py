"""How long a training is, as its settings and its budget of forward passes say, before it begins.

Steps, learning rates and queries follow from the length, so it follows from the settings alone: for what the
start will take, the most that it can take is set aside.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass

from loretta_cli.config import Config
from loretta_cli.errors import ConfigError
from loretta_cli.planning.gradients import trains_in_place
from loretta_cli.training.gradients.calibration import GRID, passes_to_calibrate
from loretta_cli.training.gradients.choosing import most_passes_to_choose
from loretta_cli.training.gradients.query_schedules import most_queries, passes_of, queries_at


@dataclass(frozen=True, slots=True)
class Length:
    """How long a training is.

    Args:
        steps: Optimizer steps.
        epochs: Passes over the rows, the last one perhaps not to its end.
    """

    steps: int
    epochs: int


def length_of_training(config: Config, rows: int) -> Length:
    """The length of a training, whose forward passes are never more than its budget.

    Args:
        config: With the epochs filled in, unless a budget alone decides.
        rows: To train on.

    Raises:
        ConfigError: If the budget does not pay for the start and one step.
    """
    training, budget = config.training, config.zo.max_forward_passes
    batches = math.ceil(rows / training.batch_size)
    steps_an_epoch = math.ceil(batches / training.gradient_accumulation)
    # Without epochs the budget alone decides: a step takes two forward passes at least.
    steps = training.max_steps or (
        math.ceil(training.epochs * steps_an_epoch) if training.epochs else math.ceil((budget or 2) / 2)
    )
    epochs = math.ceil(steps / steps_an_epoch)
    if budget is None:
        return Length(steps, epochs)

    def spent(last: int) -> int:
        """Forward passes up to the first step of the last epoch; the more epochs, the more."""
        before = sum(_step(config, epoch, last) for epoch in range(1, last))
        return (
            sum(forward_passes_to_start(config, last)) + steps_an_epoch * before + _step(config, last, last)
        )

    if budget < spent(1):
        raise ConfigError(_too_small(config, budget, spent(1)), hint=_hint(config, spent(1)))
    # Queries of a linear schedule depend on the number of epochs, so that is found first.
    epochs = bisect.bisect_right(range(1, epochs + 1), budget, key=spent)
    more = (budget - spent(epochs)) // _step(config, epochs, epochs)
    return Length(min(steps, (epochs - 1) * steps_an_epoch + min(1 + more, steps_an_epoch)), epochs)


def _step(config: Config, epoch: int, epochs: int) -> int:
    """Forward passes of a step."""
    return passes_of(config.zo, queries_at(config.zo, epoch, epochs)) * config.training.gradient_accumulation


def forward_passes_to_start(config: Config, epochs: int) -> tuple[int, int]:
    """The most forward passes to measure eps, and to choose the back end."""
    zo = config.zo
    measure = passes_to_calibrate(two_sided=zo.estimator == "central") if zo.epsilon is None else 0
    if trains_in_place(config) or config.training.objective != "loss":
        return measure, 0
    points = passes_of(zo, most_queries(zo, epochs))
    return measure, most_passes_to_choose(zo, points=points, eps=zo.epsilon or GRID[0])


def _too_small(config: Config, budget: int, needed: int) -> str:
    measure, choose = forward_passes_to_start(config, 1)
    parts = [f"{_step(config, 1, 1)} for the first step"]
    if choose:
        parts.insert(0, f"up to {choose} to try zo.backend={config.zo.backend}")
    if measure:
        parts.insert(0, f"{measure} to measure zo.epsilon")
    listed = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
    return f"zo.max_forward_passes is {budget}, but {needed} are needed: {listed}."


def _hint(config: Config, needed: int) -> str:
    measure, choose = forward_passes_to_start(config, 1)
    cheaper = [*(["zo.epsilon=0.001"] if measure else []), *(["zo.backend=sequential"] if choose else [])]
    return f"Set it to {needed} or more" + (f", or set {' and '.join(cheaper)}." if cheaper else ".")
