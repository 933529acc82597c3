"""What happens beside the training loop: reporting, the metrics log, the best adapter."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from loretta_cli.artifacts.checkpoints import name_of
from loretta_cli.artifacts.files import new_folder
from loretta_cli.artifacts.metrics_log import MetricsLog
from loretta_cli.report import Reporter
from loretta_cli.training.best_step import chosen_by, is_best
from loretta_cli.training.gradients import GradientEstimator
from loretta_cli.training.throughput import Throughput

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
TRAIN_VALUES = ("loss", "learning_rate", "grad_norm", "epoch")


class ReportCallback(TrainerCallback):
    """Passes on what Trainer logs, to the reporter and to ``metrics.jsonl``.

    Args:
        reporter: Shows it.
        log: Keeps it; None on every process but the first.
        split: What the rows of an evaluation are called.
        estimator: Where gradients come from, once there is one; its forward passes are kept in each record.
        throughput: Knows how fast the training goes.
    """

    def __init__(
        self,
        reporter: Reporter,
        log: MetricsLog | None,
        split: str,
        estimator: Callable[[], GradientEstimator],
        throughput: Throughput,
    ) -> None:
        self.reporter = reporter
        self.log = log
        self.split = split
        self.estimator = estimator
        self.throughput = throughput

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the progress display; a resumed run has a best evaluation already."""
        best = None
        if state.best_metric is not None and math.isfinite(state.best_metric) and state.best_global_step:
            name = chosen_by(args).removeprefix("eval_")
            best = (state.best_global_step, name, float(state.best_metric))
        self.reporter.training_started(state.max_steps, state.global_step, best)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Count the step; the last one is always evaluated and saved."""
        self.reporter.progress(state.global_step)
        if state.global_step >= state.max_steps and args.eval_strategy == "steps":
            control.should_evaluate = control.should_save = True
        _log_what_is_saved(control)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Log at the end of an epoch too, where a checkpoint is due."""
        _log_what_is_saved(control)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep a training record."""
        if logs is None or "loss" not in logs:
            return
        without = self.estimator().without()
        values = {name: float(logs[name]) for name in TRAIN_VALUES if name in logs and name not in without}
        if "learning_rate" in values and (estimates := self.estimator().summary()):
            values["learning_rate"] *= estimates["pace"]
        self._keep(state.global_step, "train", values)
        pace = self.throughput.measured(state.global_step)
        self.reporter.logged(state.global_step, values, pace)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep the record of an evaluation, the main metric first."""
        values = {name.removeprefix("eval_"): float(value) for name, value in (metrics or {}).items()}
        self._keep(state.global_step, self.split, values)
        best = is_best(state, metrics or {}, args)
        self.reporter.evaluated(state.global_step, values, split=self.split, is_best=best)

    def _keep(self, step: int, split: str, values: Mapping[str, float]) -> None:
        if self.log is None:
            return
        estimates = self.estimator().summary()
        counted = {} if estimates is None else {"forward_passes": estimates["forward_passes"]}
        self.log.append(step, split, {**values, **counted})


def _log_what_is_saved(control: TrainerControl) -> None:
    """Log before every checkpoint.

    The loss summed up since the last log is not saved: a resumed run would log another mean, and a loss that
    is not a number would be saved.
    """
    control.should_log = control.should_log or control.should_save


class BestAdapterCallback(TrainerCallback):
    """Copies the adapter of the best checkpoint so far to ``best/``, whole or not at all.

    Args:
        best: The folder.
    """

    def __init__(self, best: Path) -> None:
        self.best = best

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Copy, if the checkpoint that was just written is the best one."""
        if not state.is_world_process_zero or state.best_global_step != state.global_step:
            return
        checkpoint = Path(args.output_dir) / name_of(state.global_step)
        with new_folder(self.best, replace=True) as folder:
            for name in ADAPTER_FILES:
                shutil.copy2(checkpoint / name, folder / name)
