"""What is wrong with a training, from what was read of it: an error where going on is in vain, or a warning.

Every sentence names what was found, and every hint the likely cause and the settings that mend it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from loretta_cli.errors import TrainingError
from loretta_cli.numerals import counted
from loretta_cli.training.watching.readings import Reading
from loretta_cli.training.watching.settings import HALF, Watched, either
from loretta_cli.training.watching.tensors import Seen

MOST_NAMES = 4


def not_finite(watched: Watched, reading: Reading, before: Reading | None) -> TrainingError:
    """A loss or a gradient that is not finite.

    Args:
        watched: The training.
        reading: The first step that is not.
        before: The one before it, if this process has seen it.
    """
    rate = f"the learning rate was {reading.rate:g}"
    if math.isfinite(reading.loss):
        message = (
            f"The gradient is {reading.norm} at step {reading.step}, where the loss was still "
            f"{reading.loss:.4g} and {rate}: training has diverged in the backward pass."
        )
        cause = f"A gradient has grown out of its numbers{watched.precision()}. "
    elif reading.step == 1:
        message = (
            f"The loss is {reading.loss} at step 1, before anything was trained: the forward pass of the "
            "base model gives no numbers."
        )
        cause = f"The learning rate has no part in it{watched.precision()}. "
        return TrainingError(message, hint=f"{cause}Use {watched.numbers_again()}.")
    else:
        last = f", {before.loss:.4g} one step before" if before is not None else ""
        message = (
            f"The loss is {reading.loss} at step {reading.step}{last}, and {rate}: training has diverged in "
            "the forward pass."
        )
        cause = f"An update was too far{watched.precision()}. "
    return TrainingError(message, hint=f"{cause}Use {either(watched.gentler())}. {watched.what_is_left()}")


def nothing_to_learn(steps: int) -> TrainingError:
    """All labels of all batches so far were masked."""
    return TrainingError(
        f"All labels of the first {counted(steps, 'step')} are masked (-100), so there is nothing to learn.",
        hint="The label column holds no labels that the task knows, or data.max_length cuts the answers off. "
        "See what a row becomes: loretta train ... --dry-run.",
    )


def some_masked(step: int) -> str:
    """All labels of one step were masked."""
    return (
        f"step {step}: all labels of its rows are masked (-100), so nothing was learned; check the label "
        "column, and with --dry-run what a row becomes"
    )


def zero_loss(steps: int) -> str:
    """The loss was 0 from the start."""
    return (
        f"the loss of the first {counted(steps, 'step')} is exactly 0: the model has nothing to choose "
        "between (one label or one option only), or knows the answers already; check data.labels and, with "
        "--dry-run, what a row becomes"
    )


def zero_loss_without_gradient(steps: int) -> TrainingError:
    """The loss was 0 from the start, and so was the gradient."""
    return TrainingError(
        f"Loss and gradient of the first {counted(steps, 'step')} are exactly 0, so nothing can be learned.",
        hint="The rows leave nothing to choose between (one label or one option only), or the model is "
        "certain of all of them already: check data.labels and, with --dry-run, what a row becomes.",
    )


def no_gradient(watched: Watched, seen: Seen, steps: int, loss: float) -> TrainingError:
    """Nothing that trains has a gradient."""
    adapter = watched.config.adapter
    where = [
        f"adapter.{name}={getattr(adapter, name)}"
        for name in ("target_modules", "layers_to_transform")
        if getattr(adapter, name) is not None
    ]
    finer = f" In half precision small gradients become 0: {either(watched.finer())}." * bool(watched.finer())
    return TrainingError(
        f"The gradient of all {len(seen.names)} trained tensors is exactly 0 in each of the first "
        f"{counted(steps, 'step')}, while the loss is {loss:.4g}: nothing that trains reaches the loss.",
        hint=f"Let the adapter sit where the output passes through{_in_brackets(where)}: leave out "
        f"adapter.target_modules and adapter.layers_to_transform, or choose others.{finer} Compare the "
        "gradient with differences of the loss: loretta check-gradient, with the same settings.",
    )


def parts_without_gradient(seen: Seen, steps: int, head: Sequence[str]) -> str:
    """Some of what trains has no gradient.

    Args:
        seen: What was seen.
        steps: In how many.
        head: The modules of which the checkpoint had no weights.
    """
    count = len(seen.unreached)
    is_head = [name for name in seen.unreached if any(f".{module}." in f".{name}." for module in head)]
    cause = "the loss does not depend on them, so they stay as they were"
    if is_head:
        cause = (
            "the new head is among them and stays random: use --set adapter.head=dense, or another task.form"
        )
    return (
        f"{counted(count, 'trained tensor')} had no gradient in the first "
        f"{counted(steps, 'step')} ({_named(seen.unreached)}, of {len(seen.names)}): {cause}; name what "
        "should train with adapter.target_modules"
    )


def nothing_moves(watched: Watched, seen: Seen, steps: int) -> TrainingError:
    """Nothing that trains has changed, though it has gradients."""
    return TrainingError(
        f"None of the {len(seen.names)} trained tensors has changed in {counted(steps, 'step')}, though "
        "their gradient is not 0.",
        hint=f"{_why_it_stands(watched)}: use {watched.rate_times(100.0)}.",
    )


def parts_do_not_move(watched: Watched, seen: Seen, stuck: Sequence[str], steps: int) -> str:
    """Some of what trains has not changed, though it has a gradient."""
    return (
        f"{counted(len(stuck), 'trained tensor has', 'trained tensors have')} not changed in "
        f"{counted(steps, 'step')} ({_named(stuck)}, of {len(seen.names)}): {_why_it_stands(watched)}; use "
        f"{watched.rate_times(100.0)}"
    )


def lost_in_place(watched: Watched, share: float) -> str:
    """Weights that are trained in place are too coarse for their updates."""
    return (
        f"{share:.0%} of the weights are too coarse for the updates of the learning rate {_rate(watched)}: "
        f"in {HALF.get(watched.dtype, 'this dtype')} they stay as they are; use "
        f"{either([*watched.finer(), watched.rate_times(10.0)])}, or an adapter, which trains in float32"
    )


def diverging(watched: Watched, step: int, now: float, begun: float) -> str:
    """The loss has grown to several times what it was."""
    return (
        f"step {step}: the loss of late is {now:.4g}, {now / max(begun, 1e-9):.1f} times that of the start "
        f"({begun:.4g}), so training diverges; use {either(watched.gentler())}"
    )


def not_below_chance(watched: Watched, step: int, now: float, chance: float, *, kind: str) -> str:
    """Half of the training has taught nothing; ``kind`` is that of the task."""
    is_score = kind == "regression"
    guess = "always answering the mean score" if is_score else "guessing by the labels' frequencies"
    fit = "scores" if is_score else "labels"
    training = watched.config.training
    longer = f"--set training.max_steps={2 * training.max_steps}" if training.max_steps else ""
    longer = longer or (f"--set training.epochs={2 * training.epochs:g}" if training.epochs else "")
    flags = [*watched.other_rates(), *([longer] if longer else [])]
    return (
        f"step {step}: half of the training is over, and the loss of late, {now:.4g}, is not below "
        f"{chance:.4g}, what {guess} has; try {either(flags)}, and check that the {fit} fit their texts"
    )


def _why_it_stands(watched: Watched) -> str:
    return f"updates of the learning rate {_rate(watched)} are smaller than the rounding of the numbers"


def _rate(watched: Watched) -> str:
    return f"{watched.config.training.learning_rate:g}"


def _named(names: Sequence[str]) -> str:
    """Some names, without what PEFT puts before and between."""
    short = [name.removeprefix("base_model.model.").replace(".default", "") for name in names[:MOST_NAMES]]
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(short) + more


def _in_brackets(settings: Sequence[str]) -> str:
    return f" (now {', '.join(settings)})" if settings else ""
