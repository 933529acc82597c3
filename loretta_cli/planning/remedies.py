"""What makes a training need less memory: settings as flags, those that cost the user least first.

Nothing is proposed that is set already, or that the training would refuse. What each saves is estimated from
shapes (:mod:`planning.memory`) where that works; what saves next to nothing is left out.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from loretta_cli.config import Config, ZerothOrderSettings
from loretta_cli.errors import LorettaError
from loretta_cli.measure.memory_estimate import MemoryEstimate
from loretta_cli.models.quantization import PACKAGE
from loretta_cli.numerals import memory_in_words
from loretta_cli.planning.gradients import trains_in_place
from loretta_cli.planning.memory import estimate_of
from loretta_cli.planning.passes import longest_rows, row_length
from loretta_cli.planning.plan import Plan
from loretta_cli.tasks import Example
from loretta_cli.tasks.forms import Row

Work = Literal["training", "evaluation", "loading"]
MOST = 3
LONGEST = 32
"""So many of the longest rows are encoded anew for a shorter ``data.max_length``."""
WORTH = 0.03
"""A remedy that saves a smaller share of all memory is none."""
ENOUGH = 0.75
"""A smaller batch is one that brings the estimate down to this share, if there is one."""
OF_ROOM = 0.8
"""It takes no more than this share of what is free beside weights and optimizer; the rest is for gaps."""
SECONDS = 20.0
"""No more estimates are begun after so long."""
QUANTISED = ("adp", "rep", "lora", "adapters", "prompt", "prefix", "p-tuning")
"""Methods whose base may be in 4 bits."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """A change of settings that saves memory.

    Args:
        values: By dotted key.
        price: What the user pays for it.
        saves: Bytes, as estimated; None where they were not.
        resumes: Whether a run may go on with it: what it has learned fits the other value too.
        is_enough: False where it needs more than is free, too, as estimated.
    """

    values: Mapping[str, object]
    price: str
    saves: int | None = None
    resumes: bool = False
    is_enough: bool = True

    @property
    def flags(self) -> str:
        """As typed behind ``loretta train``."""
        if self.values == {"training.gradient": "zo"}:
            return "--gradient zo"
        return " ".join(f"--set {key}={_typed(value)}" for key, value in self.values.items())

    @property
    def told(self) -> str:
        """The flags with what they cost and save."""
        is_known = self.saves is not None and self.saves >= 2**20
        saves = f"; about {memory_in_words(self.saves or 0)} less" if is_known else ""
        saves += "" if self.is_enough else ", not enough alone"
        return f"{self.flags} ({self.price}{saves})"


@dataclass(frozen=True, slots=True)
class Need:
    """What needed more memory than there was.

    Args:
        plan: Of the training.
        config: With the adapter's settings filled in.
        train: Rows to train on.
        evaluated: Rows to evaluate.
        work: What was being done.
        dtype: In which the base model computes.
        given: Dotted keys of the settings that the user gave.
        share: How many processes share a batch.
        room: Bytes that were free when the work had ended, weights and optimizer being held; None is unknown.
    """

    plan: Plan
    config: Config
    train: Sequence[Row]
    evaluated: Sequence[Row]
    work: Work
    dtype: torch.dtype
    given: Sequence[str] = ()
    share: int = 1
    room: int | None = None

    @property
    def rows(self) -> Sequence[Row]:
        """The rows of the work."""
        return self.evaluated if self.work == "evaluation" else self.train

    @property
    def at_once(self) -> int:
        """Rows in one forward pass of this process."""
        training = self.config.training
        return (
            training.evaluation_batch_size if self.work == "evaluation" else training.batch_size // self.share
        )


def remedies(need: Need, *, most: int = MOST) -> list[Remedy]:
    """The cheapest changes that save memory, the cheapest first.

    Args:
        need: What needed too much.
        most: How many.
    """
    end = time.monotonic() + SECONDS
    now = _estimate(need, need.config)
    found = []
    for remedy in _candidates(need, now):
        saves, is_enough = None, True
        if now is not None and time.monotonic() < end:
            with_it = _estimate(need, with_values(need.config, remedy.values))
            if with_it is not None:
                saves = _total(need, now) - _total(need, with_it)
                if saves < WORTH * _total(need, now):
                    continue
                is_enough = need.room is None or _total(need, with_it) <= _held(now) + need.room
        found.append(dataclasses.replace(remedy, saves=saves, is_enough=is_enough))
        if len(found) == most:
            break
    return found


def with_values(config: Config, values: Mapping[str, object]) -> Config:
    """A config with other values.

    Args:
        config: The config.
        values: By dotted key.
    """
    changed: dict[str, dict[str, object]] = {}
    for key, value in values.items():
        section, _, name = key.partition(".")
        changed.setdefault(section, {})[name] = value
    sections = {name: getattr(config, name).model_copy(update=update) for name, update in changed.items()}
    return config.model_copy(update=sections)


def _candidates(need: Need, now: MemoryEstimate | None) -> Iterator[Remedy]:
    """What may help, what costs the user least first."""
    training, model = need.config.training, need.config.model
    if need.work == "evaluation" and training.evaluation_batch_size > 1:
        size = _smaller(need, now, step=1)
        yield Remedy(
            {"training.evaluation_batch_size": size}, "the same scores, a little slower", resumes=True
        )
    if need.work == "training":
        if training.gradient == "zo" and _has_copies(need.config):
            yield Remedy({"zo.backend": "sequential"}, "the same estimates, one forward pass after the other")
        if training.batch_size > need.share:
            size = _smaller(need, now, step=need.share)
            more = training.gradient_accumulation * training.batch_size // size
            yield Remedy(
                {"training.batch_size": size, "training.gradient_accumulation": more},
                "as many rows a step, a little slower",
                resumes=True,
            )
        if training.gradient == "backprop" and not training.gradient_checkpointing:
            yield Remedy(
                {"training.gradient_checkpointing": True},
                "the same steps, about a third slower",
                resumes=True,
            )
    if need.dtype == torch.float32 and model.quantization is None and not trains_in_place(need.config):
        yield Remedy({"model.dtype": "bfloat16"}, "the base model is rounded to 3 digits")
    if _can_be_quantised(need):
        yield Remedy({"model.quantization": "nf4"}, "the base model in 4 bits, slower")
    if need.work != "loading":
        yield from _shorter(need)
    if need.work == "training" and _can_do_without_backprop(need):
        yield Remedy(
            {"training.gradient": "zo"}, "no backward pass, and many times as many steps until it has learned"
        )


def _smaller(need: Need, now: MemoryEstimate | None, *, step: int) -> int:
    """A batch size that divides the present one: half of it, or less where half is not enough."""
    training = need.config.training
    size = training.evaluation_batch_size if need.work == "evaluation" else training.batch_size
    at_once = min(size, max(1, len(need.rows)))
    sizes = [one for one in range(at_once // 2, 0, -1) if size % one == 0 and one % step == 0] or [step]
    if now is None:
        return sizes[0]
    total, held = _total(need, now), _held(now)
    least_saved = ENOUGH * total - held
    room = math.inf if need.room is None else OF_ROOM * need.room
    # Where the weights are nearly all, no batch saves the share, and half will do.
    most = min(room, least_saved if least_saved > 0 else math.inf)
    return next((one for one in sizes if (total - held) * one / at_once <= most), sizes[-1])


def _held(estimate: MemoryEstimate) -> int:
    """What stays between two steps."""
    return sum(estimate.rows[name] for name in ("weights", "adapters", "optimizer"))


def _has_copies(config: Config) -> bool:
    """Whether several copies of a batch may go into one forward pass."""
    zo = config.zo
    is_default = zo.memory == ZerothOrderSettings.model_fields["memory"].default
    return (
        zo.backend != "sequential"
        and is_default
        and config.training.objective == "loss"
        and not trains_in_place(config)
    )


def _can_be_quantised(need: Need) -> bool:
    """Whether the base could be loaded in 4 bits."""
    config, adapter = need.config, need.config.adapter
    return (
        config.model.quantization is None
        and need.plan.source.gguf_file is None
        and torch.cuda.is_available()
        and importlib.util.find_spec(PACKAGE) is not None
        and adapter.method in QUANTISED
        and getattr(adapter, "init", None) != "noise-reduction"
        and not config.training.shard_base
    )


def _can_do_without_backprop(need: Need) -> bool:
    """Whether ``--gradient zo``, added to what was asked, would be taken."""
    training, adapter = need.config.training, need.config.adapter
    unread = {"training.max_grad_norm", "training.learning_rate", "training.optimizer", "training.momentum"}
    return (
        training.gradient == "backprop"
        and not training.gradient_checkpointing
        and not training.shard_base
        and not adapter.dropout
        and not unread & set(need.given)
    )


def _shorter(need: Need) -> Iterator[Remedy]:
    """A shorter ``data.max_length``: what 19 of 20 rows fit, or half of the longest."""
    lengths = sorted(map(row_length, need.rows))
    if not lengths or lengths[-1] < 2:
        return
    usual, longest = lengths[(19 * len(lengths)) // 20 - (len(lengths) % 20 == 0)], lengths[-1]
    for length in (-(-usual // 8) * 8, max(8, longest // 16 * 8)):
        if length > 0.8 * longest or _encoded(need, length) is None:
            continue
        cut = sum(one > length for one in lengths)
        yield Remedy({"data.max_length": length}, f"{cut:,} of {len(lengths):,} rows lose text")
        return


def _encoded(need: Need, length: int) -> tuple[Sequence[Row], Sequence[Row]] | None:
    """The longest rows to train on and to evaluate, no longer than this; None where some cannot be."""
    plan: Any = need.plan
    form, data = dataclasses.replace(plan.form, max_length=length), need.plan.data
    try:
        train = form.encode(_longest(data.train, need.train)).rows
        return train, form.encode(_longest(data.selection, need.evaluated)).rows
    except LorettaError:
        return None


def _longest(examples: Sequence[Example], rows: Sequence[Row]) -> Sequence[Example]:
    """The examples of the longest rows; of texts that make several rows each, the first ones."""
    if len(examples) != len(rows):
        return examples[:LONGEST]
    order = sorted(range(len(rows)), key=lambda number: row_length(rows[number]), reverse=True)
    return [examples[number] for number in order[:LONGEST]]


def _estimate(need: Need, config: Config) -> MemoryEstimate | None:
    """The memory of a training; None where it cannot be estimated."""
    plan, train, evaluated = need.plan, need.train, need.evaluated
    if config.training.gradient != need.config.training.gradient:
        config = with_values(config, {"training.optimizer": None, "training.max_grad_norm": None})
    if config.data.max_length != need.config.data.max_length:
        found = _encoded(need, config.data.max_length or 0)
        if found is None:
            return None
        train, evaluated = found
    try:
        return estimate_of(plan, config, train, evaluated, share=need.share)
    except (
        Exception
    ):  # whatever a model that has no values stumbles over; there may be no memory for it either
        return None


def _total(need: Need, estimate: MemoryEstimate) -> int:
    """The tensors at the worst moment of the work; what an allocator keeps of freed ones is no promise."""
    if need.work == "loading":
        return estimate.rows["weights"]
    whole = estimate.evaluation if need.work == "evaluation" else estimate.training
    return whole - estimate.rows["allocator"]


def longest_at_once(need: Need) -> int:
    """Tokens of the longest row."""
    return max(map(row_length, longest_rows(need.rows, 1)), default=0)


def _typed(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
