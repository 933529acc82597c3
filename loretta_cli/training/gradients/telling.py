"""What the user hears when a guard of zeroth-order training acts."""

from __future__ import annotations

from loretta_cli.config import ZerothOrderSettings
from loretta_cli.errors import TrainingError
from loretta_cli.report import Reporter
from loretta_cli.training.gradients.guards import SIZES_NEEDED, Guard
from loretta_cli.training.gradients.trajectory import Record

MOST_WITHOUT_SLOPES = 100
"""Steps without a slope after which nothing is hoped for. A metric, whose loss is never above 0, may need
more: along most directions it does not change."""


def tell(reporter: Reporter, settings: ZerothOrderSettings, record: Record, guard: Guard) -> None:
    """Say what happened in a step, if it was out of the ordinary, and what it means.

    Args:
        reporter: Hears it.
        settings: The section ``zo``.
        record: Of a step.
        guard: That has seen the record.

    Raises:
        TrainingError: If no step so far had a slope, and none will.
    """
    step = f"step {record.step + 1}"
    if record.event == "skip":
        reporter.warn(f"{step}: no slope of the loss is finite, so the parameters stay as they are")
    elif record.event == "clip":
        reporter.note(f"{step}: a slope was cut to {settings.clip:g} times the median size of late (zo.clip)")
    elif record.event == "rollback":
        to = f"those after step {record.to}" if record.to else "those of the start"
        reporter.warn(
            f"{step}: the losses of late are over {guard.limit:.3g}, not finite, or the same whatever the "
            f"parameters are (zo.rollback); they are {to} again, and steps are {1 / guard.pace:,.0f} times "
            "shorter than the schedule has them; a lower training.learning_rate avoids it"
        )
    elif record.step + 1 == SIZES_NEEDED and guard.has_not_begun:
        reporter.warn(
            f"all slopes of the first {SIZES_NEEDED} steps are 0 (the losses at both ends are the same to "
            f"the last digit), so nothing is trained; set a larger zo.epsilon (now {record.eps:g}; unset, it "
            f"is measured), such as {_larger(record)}, or a larger training.batch_size"
        )
    elif record.step + 1 == MOST_WITHOUT_SLOPES and guard.has_not_begun and (record.loss or 0) > 0:
        raise TrainingError(
            f"All slopes of the first {MOST_WITHOUT_SLOPES} steps are 0, while the loss is "
            f"{record.loss:.4g}: nothing is trained.",
            hint=f"zo.epsilon, {record.eps:g}, is too small for the precision of the losses: leave it out "
            f"(it is then measured), or use {_larger(record)}, or --set model.dtype=float32. If that does "
            "not help, the adapter does not reach the output: compare with loretta check-gradient.",
        )


def _larger(record: Record) -> str:
    """The flag of a larger eps."""
    return f"--set zo.epsilon={max(10 * record.eps, 0.01):g}"
