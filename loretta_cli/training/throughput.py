"""How fast a training goes: what is read in a second, for the eye and for ``throughput.jsonl``.

Times differ from run to run, so they stand in a file of their own: ``metrics.jsonl`` of a run that was cut
off and resumed equals that of one that was not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from loretta_cli.artifacts.metrics_log import MetricsLog
from loretta_cli.measure.memory import peak_memory_bytes
from loretta_cli.processes import processes
from loretta_cli.report.pace import Pace
from loretta_cli.training.gradients import GradientEstimator
from loretta_cli.training.sampling import WEIGHT


class Throughput(TrainerCallback):
    """Counts rows and tokens of the training steps, and the time they take without what happens in between.

    Args:
        estimator: Where gradients come from, once there is one.
        log: ``throughput.jsonl``; None on every process but the first.
        clock: Tells the time in seconds.
    """

    def __init__(
        self,
        estimator: Callable[[], GradientEstimator],
        log: MetricsLog | None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.estimator = estimator
        self.log = log
        self.clock = clock
        self._since: float | None = None
        self._rows, self._seconds, self._passes = 0, 0.0, 0
        self._tokens: torch.Tensor | None = None

    def add(self, batch: Mapping[str, Any]) -> None:
        """Count a batch of this process, on the device where it is: nobody waits for the number."""
        self._rows += len(batch[WEIGHT])
        if (mask := batch.get("attention_mask")) is not None:
            tokens = mask.detach().sum()
            self._tokens = tokens if self._tokens is None else self._tokens + tokens

    def measured(self, step: int) -> Pace | None:
        """What the steps since the last call did in a second; it is kept in the log.

        Args:
            step: Optimizer steps done.

        Returns:
            None where nothing was done, as in steps that are taken again from a trajectory.
        """
        seconds = self._take_time()
        estimates = self.estimator().summary()
        passes = estimates["forward_passes"] if estimates else 0
        pace = self._pace(seconds, passes, estimates)
        self._start_anew(passes)
        if pace is not None and self.log is not None:
            self.log.append(step, "train", _record(pace))
        return pace

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Forget what was; rows that a resumed run skips are not counted."""
        estimates = self.estimator().summary()
        self._since = None
        self._start_anew(estimates["forward_passes"] if estimates else 0)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The first step begins now."""
        if self._since is None:
            self._since = self.clock()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Count the time of the step, and that of finding its rows."""
        self._seconds = self._take_time()

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The time since the step was not one of training."""
        self._since = self.clock()

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """As of an evaluation."""
        self._since = self.clock()

    def _start_anew(self, passes: int) -> None:
        self._rows, self._seconds, self._passes, self._tokens = 0, 0.0, passes, None

    def _take_time(self) -> float:
        """The seconds counted so far, up to now."""
        now = self.clock()
        since, self._since = now if self._since is None else self._since, now
        return self._seconds + now - since

    def _pace(self, seconds: float, passes: int, estimates: Mapping[str, Any] | None) -> Pace | None:
        done = passes - self._passes
        if not self._rows or seconds <= 0 or (estimates is not None and not done):
            return None
        # Rows are dealt out evenly, so that this process's count stands for those of the others.
        share = processes().count if self.estimator().shares_rows else 1
        return Pace(
            seconds=seconds,
            tokens_per_second=None if self._tokens is None else share * int(self._tokens) / seconds,
            rows_per_second=share * self._rows / seconds,
            forward_passes_per_second=done / seconds if estimates else None,
            queries=estimates["queries"] if estimates else None,
            memory_bytes=peak_memory_bytes(),
        )


def median_tokens_per_second(log: MetricsLog) -> float | None:
    """The median over the log intervals of a run; None where none was measured."""
    found = [record.get("tokens_per_second") for record in log.read()]
    rates = [value for value in found if isinstance(value, int | float)]
    return round(statistics.median(rates), 1) if rates else None


def _record(pace: Pace) -> dict[str, float]:
    """What is kept of it: no more digits than a clock has."""
    named: dict[str, float | None] = {
        "seconds": round(pace.seconds, 4),
        "tokens_per_second": _rounded(pace.tokens_per_second),
        "rows_per_second": _rounded(pace.rows_per_second),
        "forward_passes_per_second": _rounded(pace.forward_passes_per_second),
        "memory_bytes": pace.memory_bytes,
    }
    return {name: value for name, value in named.items() if value is not None}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
