"""Ctrl+C and its relatives: the first finishes the step and saves, the second stops at once.

The handler only notes the signal; the loop asks at the end of each step, when nothing is half done, and has a
checkpoint written from which ``--resume`` goes on exactly. Several processes stop at the same step.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from loretta_cli.processes import processes
from loretta_cli.report import Reporter

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl+C; what schedulers send before they kill; a terminal that was closed."""


@dataclass(slots=True)
class Interruption:
    """Which signals have come, and at which step the training then stopped."""

    seen: set[int] = field(default_factory=set)
    step: int | None = None

    @property
    def asked(self) -> bool:
        """Whether this process was told to stop."""
        return bool(self.seen)


@contextlib.contextmanager
def signals_finish_the_step(reporter: Reporter) -> Iterator[Interruption]:
    """Within it, the first signal of a kind is noted, and the second one raises ``KeyboardInterrupt``.

    A signal that was ignored before (``nohup``) stays so. Elsewhere than in the main thread nothing changes.

    Args:
        reporter: Told of the first.
    """
    interruption = Interruption()

    def handle(number: int, frame: FrameType | None) -> None:
        # By kind: at Ctrl+C, torchrun sends SIGTERM to those who have had SIGINT from the terminal.
        if number in interruption.seen:
            raise KeyboardInterrupt
        is_first = not interruption.asked
        interruption.seen.add(number)
        if is_first:
            # The signal may have come in the middle of a write to the same stream.
            with contextlib.suppress(RuntimeError):
                reporter.note("stopping after this step, with a checkpoint; once more stops at once")

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) or signal.SIG_DFL for number in SIGNALS}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, handle)
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class InterruptionCallback(TrainerCallback):
    """Has a checkpoint written at the end of the step, and the training stopped once it is there.

    The stop is asked for after the save only: a checkpoint that says its training had stopped is one of a
    training that has ended.

    Args:
        interruption: Asked at the end of every step.
    """

    def __init__(self, interruption: Interruption) -> None:
        self.interruption = interruption
        self._is_due = False
        self._is_inside_epoch = False

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Save now, unless the end of the epoch comes next, which evaluates and saves by itself."""
        self._is_due = any_process(self.interruption.asked, args.device)
        if not self._is_due:
            return
        self._is_inside_epoch = is_inside_epoch(state)
        if self._is_inside_epoch or args.save_strategy != "epoch":
            control.should_save = control.should_log = True

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """An epoch that was broken off has no end to evaluate."""
        if self._is_due and self._is_inside_epoch:
            control.should_evaluate = control.should_save = control.should_log = False

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The checkpoint is written: stop."""
        if self._is_due:
            self.interruption.step = state.global_step
            control.should_training_stop = True


def is_inside_epoch(state: TrainerState) -> bool:
    """Whether the step that was just taken is not the last of an epoch."""
    return not float(state.epoch or 0).is_integer()


def any_process(asked: bool, device: torch.device) -> bool:
    """Whether any process was asked for something; all hear the same at the same step."""
    if processes().count == 1:
        return asked
    import torch.distributed as dist

    told = torch.tensor(int(asked), device=device)
    dist.all_reduce(told, op=dist.ReduceOp.MAX)
    return bool(told.item())
