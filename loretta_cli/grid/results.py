"""From a finished run to the numbers that a comparison is made of."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loretta_cli.artifacts.metrics_log import MetricsLog
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.errors import RunError
from loretta_cli.report.figure_parts import Series, series_of

PASSES_OF_BACKPROP = 2
"""Of a batch: with a frozen base, a backward pass costs about as much as a forward pass and counts as one."""
MEASURES = (
    *("trainable_parameters", "storage_bytes", "seconds", "passes", "best_step"),
    *("train_loss", "loss_at_best_step", "last_loss", "loss_gap", "loss_variance"),
)
"""What is told of a run beside its score. ``train_loss`` is the last one logged, the others are of the
rows that choose the checkpoint; ``loss_gap`` is ``last_loss`` less ``train_loss``, ``loss_variance`` the
sample variance over all evaluations. ``passes`` are the forward passes of the training, evaluations not among
them, and a backward pass counts as one."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """The numbers of one finished run.

    Args:
        metric: Name of the task's main metric.
        metrics: All metrics of the reported rows.
        measures: Those of :data:`MEASURES`; None where there is no such number.
        train: The training loss over the steps.
        evaluated: The loss of the rows that choose the checkpoint, over the steps.
        scored: The main metric of these rows over the steps; empty where the loss alone chooses.
        passes: Of some step to the passes so far, as :data:`MEASURES` has them.
        is_zeroth_order: Whether its gradients came from forward passes alone.
    """

    metric: str
    metrics: Mapping[str, float]
    measures: Mapping[str, float | None]
    train: Series
    evaluated: Series
    scored: Series
    passes: Mapping[int, int]
    is_zeroth_order: bool

    @property
    def trainable(self) -> int:
        """The trainable parameters."""
        return int(self.measures["trainable_parameters"] or 0)


def read_result(run: RunFolder) -> RunResult:
    """The numbers of a finished run.

    Raises:
        LorettaError: If a file of it is missing or broken.
    """
    report = run.read_report()
    records = MetricsLog(run.metrics_file).read()
    accumulated = run.read_config().training.gradient_accumulation
    weights = run.adapter / "adapter_model.safetensors"
    try:
        metrics, metric, best_step = report["metrics"], report["main_metric"], report["best_step"]
        split, estimates = report["selection"]["split"], report.get("zeroth_order")
        train = series_of(records, "train", "loss")
        evaluated, scored = series_of(records, split, "loss"), series_of(records, split, metric)
        losses = dict(zip(evaluated.steps, evaluated.values, strict=True))
        train_loss = train.values[-1] if train else None
        last = evaluated.values[-1] if evaluated else None
        if estimates is None:
            a_step = PASSES_OF_BACKPROP * accumulated
            passes = {step: a_step * step for step in {*train.steps, *evaluated.steps, *scored.steps}}
            all_passes = a_step * report["steps"]
        else:
            passes = _logged_passes(records)
            all_passes = estimates["forward_passes"]
        measures = {
            "trainable_parameters": report["trainable_parameters"],
            "storage_bytes": weights.stat().st_size if weights.is_file() else None,
            "seconds": report["seconds"],
            "passes": all_passes,
            "best_step": best_step,
            "train_loss": train_loss,
            "loss_at_best_step": losses.get(best_step),
            "last_loss": last,
            "loss_gap": None if last is None or train_loss is None else last - train_loss,
            "loss_variance": statistics.variance(evaluated.values) if len(evaluated.values) > 1 else None,
        }
        float(metrics[metric])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"The run {run.path} is damaged: {type(error).__name__} {error}.") from error
    return RunResult(
        metric, metrics, measures, train, evaluated, scored, passes, is_zeroth_order=estimates is not None
    )


def _logged_passes(records: Sequence[Mapping[str, object]]) -> dict[int, int]:
    """The passes so far at each step in the log."""
    found = {}
    for record in records:
        step, passes = record["step"], record.get("forward_passes")
        if isinstance(step, int) and isinstance(passes, int):
            found[step] = passes
    return found
