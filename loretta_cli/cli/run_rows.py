"""What the screens about runs share: figures of a run in words, and its JSON. Imports no torch."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from loretta_cli.artifacts.run_folder import short_model
from loretta_cli.artifacts.run_listing import folder_size
from loretta_cli.artifacts.run_state import RunState
from loretta_cli.report import Reporter
from loretta_cli.report.formatting import display_number

_UNITS = ((86400 * 365, "y"), (86400, "d"), (3600, "h"), (60, "min"))


def status_in_words(state: RunState) -> str:
    """The status, with how far it is where it is not finished."""
    if state.status in ("finished", "damaged", "failed"):
        return state.status
    if state.stages:
        done = sum(stage.status == "finished" for stage in state.stages)
        return f"{state.status} in stage {min(done + 1, len(state.tasks))} of {len(state.tasks)}"
    if state.status == "incomplete" and not state.step:
        return "incomplete"
    total = f"/{state.total_steps}" if state.total_steps else ""
    return f"{state.status} at {state.step}{total}"


def model_of(state: RunState) -> str:
    """The base model's short name."""
    name = state.config.model.name if state.config is not None else None
    return short_model(name) if name else "-"


SO_FAR = "on the selection rows so far"
"""What a score with a star is, beside those of the validation rows."""


def score_in_words(state: RunState) -> tuple[str, str]:
    """The main metric's name and value; with a star where it is of the selection rows."""
    metric, score = state.main_metric, state.score
    value = "-" if metric is None or score is None else metric_in_words(metric, score)
    return (metric or "-").replace("_", " "), value + "*" * (state.score_split == "selection")


def tell_stars(states: Iterable[RunState], reporter: Reporter) -> None:
    """Say below a table of scores what their stars mean, if one has any."""
    if any(state.score_split == "selection" for state in states):
        reporter.line(f"* {SO_FAR}")


def metric_in_words(name: str, value: float) -> str:
    """A metric with four decimals."""
    return f"{value:.4f}" if abs(value) < 1000 else display_number(name, value)


def count_in_words(number: int | None) -> str:
    """A number with commas, or a dash."""
    return "-" if number is None else f"{number:,}"


def bytes_in_words(size: int | None) -> str:
    """A size in the unit that fits: 812 B, 54.3 kB, 1.2 MB."""
    if size is None:
        return "-"
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.5 or unit == "TB":
            break
    return f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"


def age_in_words(changed_at: float, now: float | None = None) -> str:
    """How long ago: 40 s, 12 min, 3 h, 5 d."""
    seconds = max(0.0, (time.time() if now is None else now) - changed_at)
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def document(state: RunState, name: str) -> dict[str, Any]:
    """A run as plain data.

    Args:
        state: Its state.
        name: What it is called where it was found.
    """
    config = state.config
    report: Mapping[str, Any] = state.report
    return {
        "name": name,
        "run": str(state.run.path),
        "status": state.status,
        "reason": state.reason or None,
        "resumable": state.resumable,
        "step": state.step,
        "total_steps": state.total_steps,
        "model": None if config is None else config.model.name,
        "method": state.method,
        "tasks": state.tasks,
        "gradient": None if config is None else config.training.gradient,
        "seed": None if config is None else config.training.seed,
        "main_metric": state.main_metric,
        "score": state.score,
        "score_split": state.score_split,
        "metrics": state.metrics,
        "best_step": state.best_step,
        "trainable_parameters": state.trainable,
        "total_parameters": report.get("total_parameters"),
        "adapter_bytes": state.adapter_bytes,
        "folder_bytes": folder_size(state.run.path),
        "changed_at": _timestamp(state.changed_at),
        "stages": [document(stage, stage.run.path.name) for stage in state.stages],
    }


def _timestamp(seconds: float) -> str | None:
    if not seconds:
        return None
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
