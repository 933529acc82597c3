"""How far a run is, and its figures, read from its folder whatever state that is in.

Nothing here fails because of what a folder holds: what is wrong is told as the state "damaged", with the
reason. Imports no torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from loretta_cli.artifacts.adapter_files import SETTINGS
from loretta_cli.artifacts.checkpoints import last_complete, step_of
from loretta_cli.artifacts.files import read_text
from loretta_cli.artifacts.metrics_log import MetricsLog
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.artifacts.run_lock import is_running
from loretta_cli.config import Config
from loretta_cli.errors import LorettaError
from loretta_cli.tasks.base import LOWER_IS_BETTER

Status = Literal["finished", "running", "stopped", "incomplete", "failed", "damaged"]
"""``stopped``: it goes on from a checkpoint; ``incomplete``: there is none yet, so it would begin anew;
``failed``: its loss is no number any more, or a comparison gave it up."""
MEAN_OVER_TASKS = "mean_over_tasks"
ADAPTER_FILE = "adapter_model.safetensors"
_NEEDED = ("best_step", "steps", "trainable_parameters")
_NUMBERS_IF_THERE = ("seconds", "peak_memory_bytes", "total_parameters", "rows")
_LARGEST = 2**53
_NOT_METRICS = ("step", "split", "forward_passes")


@dataclass(frozen=True, slots=True)
class RunState:
    """A run as its folder tells it.

    Args:
        run: The folder.
        status: One of :data:`Status`.
        reason: Why it is damaged or has failed; otherwise empty.
        config: Its settings; None if they cannot be read.
        report: Of a finished run; otherwise empty.
        records: Of ``metrics.jsonl``, as far as it can be read.
        step: The last step that counts: of a finished run all, of a stopped one its checkpoint's.
        total_steps: All steps, if that is known.
        stages: Of a run of several tasks: those that have begun.
        changed_at: When something was last written, in seconds since 1970.
    """

    run: RunFolder
    status: Status
    reason: str = ""
    config: Config | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    records: Sequence[Mapping[str, object]] = ()
    step: int | None = None
    total_steps: int | None = None
    stages: tuple[RunState, ...] = ()
    changed_at: float = 0.0

    @property
    def resumable(self) -> bool:
        """Whether ``--resume`` has something to do."""
        return self.status in ("stopped", "incomplete")

    @property
    def tasks(self) -> list[str]:
        """The names of its tasks."""
        if self.config is None:
            return []
        task = self.config.task
        return list(task.names or ([task.name] if task.name else []))

    @property
    def method(self) -> str | None:
        """The name of its method."""
        return None if self.config is None else self.config.adapter.method

    @property
    def split(self) -> str:
        """The rows whose scores chose the checkpoint."""
        selection = self.report.get("selection")
        if isinstance(selection, dict) and isinstance(selection.get("split"), str):
            return str(selection["split"])
        splits = [record["split"] for record in self.records if record["split"] != "train"]
        return "selection" if "selection" in splits else "validation"

    @property
    def main_metric(self) -> str | None:
        """The metric by which its task is judged; of several tasks the mean over them."""
        if self.report:
            metrics = self.report["metrics"]
            return MEAN_OVER_TASKS if MEAN_OVER_TASKS in metrics else str(self.report["main_metric"])
        # The main one stands first.
        names = [name for record in self._evaluations for name in record if name not in _NOT_METRICS]
        return None if any("/" in name for name in names) else next(iter(names), None)

    @property
    def metrics(self) -> dict[str, float]:
        """Of a finished run those it reports; otherwise those of the best evaluation so far."""
        return dict(self.report["metrics"]) if self.report else self.best_evaluation

    @property
    def best_evaluation(self) -> dict[str, float]:
        """The values of the best evaluation so far, of the rows that choose the checkpoint."""
        best = self._best
        return {} if best is None else _numbers(best)

    @property
    def score(self) -> float | None:
        """The value of the main metric."""
        return self.metrics.get(self.main_metric or "")

    @property
    def score_split(self) -> str | None:
        """The rows that the score is of: the reported ones, or before the end those that choose the best."""
        if self.score is None:
            return None
        return "validation" if self.report else self.split

    @property
    def best_step(self) -> int | None:
        """The step of the adapter that is the best (so far)."""
        if self.report:
            return int(self.report["best_step"])
        best = self._best
        step = None if best is None else best["step"]
        return step if isinstance(step, int) else None

    @property
    def trainable(self) -> int | None:
        """The trainable parameters, of a finished run."""
        return int(self.report["trainable_parameters"]) if self.report else None

    @property
    def adapter_bytes(self) -> int | None:
        """The size of its adapter's file: the finished one, or the best so far."""
        for folder in (self.run.adapter, self.run.best):
            if (file := folder / ADAPTER_FILE).is_file():
                return file.stat().st_size
        return None

    @property
    def _evaluations(self) -> list[Mapping[str, object]]:
        return [record for record in self.records if record["split"] == self.split]

    @property
    def _best(self) -> Mapping[str, object] | None:
        metric = self.main_metric
        sign = 1 if metric in LOWER_IS_BETTER else -1
        scored = []
        for record in self._evaluations:  # of equal ones the lower loss, as in the training
            numbers = _numbers(record)
            if (value := numbers.get(metric or "")) is not None:
                scored.append(((sign * value, numbers.get("loss", 0.0)), record))
        return min(scored, key=lambda pair: pair[0])[1] if scored else None


def read_state(path: Path) -> RunState:
    """The state of the run in a folder.

    Args:
        path: The folder.
    """
    run, changed_at = RunFolder(path), _changed_at(path)
    config, records, report = None, [], {}
    try:
        config = run.read_config()
        records = _sound_records(MetricsLog(run.metrics_file).read())
        report = _sound_report(run) if run.report_file.exists() else {}
    except (LorettaError, OSError, RecursionError) as error:
        return RunState(run, "damaged", _sentence(error), config, {}, records, changed_at=changed_at)
    found = RunState(run, "incomplete", "", config, report, records, changed_at=changed_at)
    if report:
        return _finished(found)
    if config.task.names:
        return _of_several_tasks(found)
    return _unfinished(found)


def failed_before_it_began(failure: Path, config: Config | None) -> RunState:
    """The state of a run of a comparison that has no folder, but a file that says why it failed.

    Args:
        failure: The file.
        config: What was asked of it, if that can be read.
    """
    run = RunFolder(failure.with_name(failure.name.removesuffix(FAILURE)))
    return RunState(run, "failed", _failure(failure), config, changed_at=_modified(failure))


FAILURE = ".failure.json"
"""The end of the name of the file that a comparison writes beside a run that failed."""


def _finished(state: RunState) -> RunState:
    """Finished, if what the report speaks of is there."""
    weights = state.run.adapter / ADAPTER_FILE
    missing = [name for name in (ADAPTER_FILE, SETTINGS) if not (state.run.adapter / name).is_file()]
    problem = f"its adapter is missing: {state.run.adapter.name}/{missing[0]}" if missing else ""
    expected = _recorded_bytes(state.run)
    if not problem and expected is not None and weights.stat().st_size != expected:
        problem = f"its adapter file has {weights.stat().st_size:,} bytes instead of {expected:,}"
    steps = int(state.report["steps"])
    return _with(
        state,
        status="damaged" if problem else "finished",
        reason=problem,
        step=steps,
        total_steps=steps,
        stages=_stages(state),
    )


def _unfinished(state: RunState) -> RunState:
    run, config = state.run, state.config
    assert config is not None
    logged = [int(str(record["step"])) for record in state.records]
    total = _total_steps(run) or config.training.max_steps
    state = _with(state, step=max(logged, default=0), total_steps=total)
    if is_running(run.path):
        return _with(state, status="running")
    if reason := _failed(state):
        return _with(state, status="failed", reason=reason)
    checkpoint = last_complete(run.checkpoints)
    if checkpoint is None:
        return state
    return _with(state, status="stopped", step=step_of(checkpoint))


def _of_several_tasks(state: RunState) -> RunState:
    """As far as the stage that is being trained."""
    stages = _stages(state)
    state = _with(state, stages=stages)
    if is_running(state.run.path):
        return _with(state, status="running")
    if reason := _failed(state):
        return _with(state, status="failed", reason=reason)
    wrong = next((stage for stage in stages if stage.status in ("damaged", "failed")), None)
    if wrong is not None:
        return _with(state, status=wrong.status, reason=f"stage {wrong.run.path.name}: {wrong.reason}")
    begun = any(stage.status in ("finished", "stopped") for stage in stages)
    return _with(state, status="stopped" if begun else "incomplete")


def _stages(state: RunState) -> tuple[RunState, ...]:
    """Those of a run of several tasks that have begun."""
    if len(state.tasks) < 2:
        return ()
    return tuple(read_state(stage.path) for stage in state.run.stages if stage.path.is_dir())


def _failed(state: RunState) -> str:
    """Why it failed, or an empty string."""
    failure = state.run.path.with_name(state.run.path.name + FAILURE)
    if failure.is_file():
        return _failure(failure)
    trained = [record for record in state.records if record["split"] == "train" and "loss" in record]
    if trained and trained[-1]["loss"] is None:
        return f"its loss is not a number at step {trained[-1]['step']}: training has diverged"
    return ""


def _sound_report(run: RunFolder) -> dict[str, Any]:
    """The report, with all that is read of it."""
    report = run.read_report()
    try:
        metrics, metric = report["metrics"], report["main_metric"]
        for value in (metrics[metric], *metrics.values(), *map(report.__getitem__, _NEEDED)):
            float(value)
        for name in _NUMBERS_IF_THERE:
            float(report.get(name, 0))
        if (selection := report.get("selection")) is not None:
            str(selection["metric"]), float(selection["value"])
        if (data := report.get("data")) is not None:
            int(data["train_rows"]), int(data["selection_rows"])
        if (zeroth_order := report.get("zeroth_order")) is not None:
            int(zeroth_order["forward_passes"]), float(zeroth_order["eps"])
            zeroth_order["events"].items()
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise LorettaError(f"Its report.json lacks a value: {type(error).__name__} {error}.") from error
    return report


def _sound_records(records: Sequence[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """The records without numbers that no training writes, with which nothing could be computed."""
    return [
        {name: value for name, value in record.items() if not _is_absurd(value)}
        for record in records
        if not _is_absurd(record["step"])
    ]


def _is_absurd(value: object) -> bool:
    return isinstance(value, int) and abs(value) > _LARGEST


def _recorded_bytes(run: RunFolder) -> int | None:
    """The size that the finished adapter's file had."""
    try:
        recorded = json.loads(read_text(run.fingerprints_file))["adapter"]["bytes"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return recorded if isinstance(recorded, int) else None


def _total_steps(run: RunFolder) -> int | None:
    """All steps, as the newest checkpoint knows them."""
    for file in sorted(run.checkpoints.glob("checkpoint-*/trainer_state.json"), key=_modified, reverse=True):
        try:
            steps = json.loads(read_text(file))["max_steps"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        return steps if isinstance(steps, int) and steps > 0 else None
    return None


def _failure(file: Path) -> str:
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"unknown: {file.name} cannot be read"


def _numbers(record: Mapping[str, object]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in record.items()
        if name not in _NOT_METRICS and isinstance(value, int | float) and math.isfinite(value)
    }


def _changed_at(path: Path) -> float:
    """When the newest of the files was written that a training writes as it goes."""
    names = ("report.json", "metrics.jsonl", "trajectory.jsonl", "config.yaml", "checkpoints", "stages")
    return max((_modified(path / name) for name in names), default=0.0) or _modified(path)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _sentence(error: Exception) -> str:
    """An error in one line, without the hint."""
    if isinstance(error, RecursionError):
        return "A file of it is nested too deeply."
    return " ".join(str(getattr(error, "message", "") or error).split())


def _with(state: RunState, **changes: Any) -> RunState:
    return replace(state, **changes)
