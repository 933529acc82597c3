"""A run's log that passes on what it gets to the trackers that the user named."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from loretta_cli.artifacts.metrics_log import MetricsLog
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.config import Config
from loretta_cli.processes import processes
from loretta_cli.report import Reporter
from loretta_cli.training.trackers import Tracker, start_trackers


class Tracking:
    """The trackers of a run; one that fails is told of and left out, and the training goes on.

    Args:
        trackers: By name.
        reporter: Told of a failure.
    """

    def __init__(self, trackers: Mapping[str, Tracker], reporter: Reporter) -> None:
        self.trackers = dict(trackers)
        self.reporter = reporter

    def record(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Pass on the values that are numbers."""
        finite = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        for name, tracker in list(self.trackers.items()):
            try:
                tracker.record(step, split, finite)
            except Exception as error:  # whatever it is, it must not cost the training
                del self.trackers[name]
                self.reporter.warn(f"the tracker {name} failed at step {step} and gets no more: {error}")

    def close(self, *, failed: bool) -> None:
        """Have all write what is left."""
        for name, tracker in self.trackers.items():
            try:
                tracker.close(failed=failed)
            except Exception as error:  # as above
                self.reporter.warn(f"the tracker {name} failed at its end: {error}")


class TrackedLog(MetricsLog):
    """A log whose records go to trackers too.

    Args:
        path: As of every log.
        tracking: The trackers.
    """

    def __init__(self, path: Path, tracking: Tracking) -> None:
        super().__init__(path)
        self.tracking = tracking

    def append(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Add one line, and pass its values on."""
        super().append(step, split, values)
        self.tracking.record(step, split, values)


def logs_of(run: RunFolder, tracking: Tracking) -> tuple[MetricsLog | None, MetricsLog | None]:
    """``metrics.jsonl`` and ``throughput.jsonl``; None on every process but the first."""
    if not processes().is_first:
        return None, None
    return TrackedLog(run.metrics_file, tracking), TrackedLog(run.throughput_file, tracking)


@contextlib.contextmanager
def tracked(config: Config, run: RunFolder, reporter: Reporter, *, taken: int | None) -> Iterator[Tracking]:
    """The trackers of a run for the time of its training; on every process but the first there are none.

    Args:
        config: Resolved.
        run: The run folder.
        reporter: Hears of failures.
        taken: Of a run that is resumed, the steps that count; None of a new one.

    Raises:
        ConfigError: If a tracker is not installed, or does not start.
    """
    started = start_trackers(config, run, taken=taken) if processes().is_first else {}
    tracking = Tracking(started, reporter)
    for name, tracker in started.items():
        reporter.note(f"the metrics go to {name} too: {tracker.look}")
    try:
        yield tracking
    except BaseException:
        tracking.close(failed=True)
        raise
    tracking.close(failed=False)
