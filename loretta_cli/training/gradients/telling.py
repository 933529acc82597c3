"""What the user hears when a guard of zeroth-order training acts."""

from __future__ import annotations

from loretta_cli.config import ZerothOrderSettings
from loretta_cli.report import Reporter
from loretta_cli.training.gradients.guards import SIZES_NEEDED, Guard
from loretta_cli.training.gradients.trajectory import Record


def tell(reporter: Reporter, settings: ZerothOrderSettings, record: Record, guard: Guard) -> None:
    """Say what happened in a step, if it was out of the ordinary, and what it means.

    Args:
        reporter: Hears it.
        settings: The section ``zo``.
        record: Of a step.
        guard: That has seen the record.
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
            f"all slopes of the first {SIZES_NEEDED} steps are 0, so nothing is trained; set a larger "
            "zo.epsilon (unset, it is measured), or a larger training.batch_size"
        )
