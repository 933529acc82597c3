"""How many directions a step asks (its queries), by the epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from loretta_cli.config import Config, ZerothOrderSettings
from loretta_cli.errors import ConfigError


def queries_at(settings: ZerothOrderSettings, epoch: int, epochs: int) -> int:
    """The number of queries of each step of an epoch.

    - ``constant``: ``zo.queries``;
    - ``linear``: from ``zo.queries`` in the first epoch to ``zo.max_queries`` in the last;
    - ``adazeta``: ``min(alpha * epoch ** beta, max_queries)``, rounded down, at least 1 (AdaZeta).

    Args:
        settings: The section ``zo``.
        epoch: From 1.
        epochs: Of the whole training.
    """
    if settings.schedule == "constant":
        return settings.queries
    if settings.schedule == "linear":
        share = (epoch - 1) / max(epochs - 1, 1)
        return round(settings.queries + share * (settings.max_queries - settings.queries))
    return max(1, int(min(settings.alpha * epoch**settings.beta, settings.max_queries)))


def passes_of(settings: ZerothOrderSettings, queries: int) -> int:
    """Forward passes of a step: two a query, or one a query and one in common."""
    return 2 * queries if settings.estimator == "central" else queries + 1


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
    """The length of a training, as its settings and its budget of forward passes say.

    Args:
        config: With the epochs filled in.
        rows: To train on.

    Raises:
        ConfigError: If the budget does not pay for one step.
    """
    training, zo = config.training, config.zo
    batches = math.ceil(rows / training.batch_size)
    steps_an_epoch = math.ceil(batches / training.gradient_accumulation)
    steps = training.max_steps or math.ceil((training.epochs or 1.0) * steps_an_epoch)
    epochs = math.ceil(steps / steps_an_epoch)
    left = zo.max_forward_passes
    if left is None:
        return Length(steps, epochs)
    for step in range(steps):
        queries = queries_at(zo, step // steps_an_epoch + 1, epochs)
        left -= passes_of(zo, queries) * training.gradient_accumulation
        if left < 0:
            steps = step
            break
    if not steps:
        raise ConfigError(
            f"zo.max_forward_passes is {zo.max_forward_passes}, less than the first step needs.",
            hint="Raise it, or lower zo.queries.",
        )
    return Length(steps, math.ceil(steps / steps_an_epoch))
