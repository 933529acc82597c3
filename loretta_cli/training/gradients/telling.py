"""What the user hears when a guard of zeroth-order training acts."""

from __future__ import annotations

from loretta_cli.config import ZerothOrderSettings
from loretta_cli.report import Reporter
from loretta_cli.training.gradients.trajectory import Record


def tell(reporter: Reporter, settings: ZerothOrderSettings, record: Record, pace: float) -> None:
    """Say what happened in a step, and what it means.

    Args:
        reporter: Hears it.
        settings: The section ``zo``.
        record: Of a step with an event.
        pace: What the learning rate is multiplied by from now on.
    """
    step = f"step {record.step + 1}"
    if record.event == "skip":
        reporter.warn(f"{step}: no slope of the loss is finite, so the parameters stay as they are")
    elif record.event == "clip":
        reporter.note(f"{step}: a slope was cut to {settings.clip:g} times the median size of late (zo.clip)")
    elif record.event == "rollback":
        to = f"those after step {record.to}" if record.to else "those of the start"
        reporter.warn(
            f"{step}: the losses of late are over {settings.rollback:g} times the first ones or not finite "
            f"(zo.rollback); the parameters are {to} again, and steps are {1 / pace:,.0f} times shorter than "
            "the schedule has them; a lower training.learning_rate avoids it"
        )
