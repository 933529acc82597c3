"""Run folders as trainings leave them, written without training. Imports no pytest and nothing heavy."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loretta_cli.artifacts.checkpoints import mark_complete
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.artifacts.run_settings import write_origins
from loretta_cli.config import Config, load_config, write_config

TRAINABLE, TOTAL = 1_000, 20_000


def config_of_run(*settings: str, method: str = "rep", task: str | None = "sst2") -> Config:
    """The settings of a run, every section written out as a training does."""
    flags = {"model.name": "bundled:minilm", "adapter.method": method, "task.name": task}
    loaded = load_config(None, flags, ("adapter.tt_rank=5", "training.learning_rate=0.005", *settings))
    return Config.model_validate(loaded.config.model_dump())


def records_of_run(
    steps: int, *, scores: Sequence[float] = (0.6, 0.7, 0.65), metric: str = "accuracy"
) -> list[dict[str, Any]]:
    """A log line for each step, and evaluations at equal distances."""
    records: list[dict[str, Any]] = []
    evaluated = {steps * (number + 1) // len(scores): score for number, score in enumerate(scores)}
    for step in range(1, steps + 1):
        records.append({"step": step, "split": "train", "loss": 1 / step, "learning_rate": 0.005 / step})
        if step in evaluated:
            records.append(
                {"step": step, "split": "selection", metric: evaluated[step], "loss": 0.7 - step / 1000}
            )
    return records


def write_unfinished(
    folder: Path,
    config: Config | None = None,
    *,
    steps: int = 6,
    checkpoint: int | None = None,
    total: int = 12,
    changed_at: float | None = None,
    **logged: Any,
) -> RunFolder:
    """Write a run whose training was stopped.

    Args:
        folder: The run folder.
        config: Its settings.
        steps: That were logged.
        checkpoint: Step of its one complete checkpoint; None for none.
        total: Steps that it was to take.
        changed_at: When, in seconds since 1970; None is now.
        **logged: Of :func:`records_of_run`.
    """
    folder.mkdir(parents=True)
    run = RunFolder(folder)
    write_config(config or config_of_run(), run.config_file)
    write_origins(run, {"adapter.tt_rank": "--set", "adapter.method": "flag"})
    run.environment_file.write_text(
        json.dumps({"python": "3.11", "packages": {"torch": "2.13.0"}, "gpus": []}), encoding="utf-8"
    )
    lines = "".join(json.dumps(record) + "\n" for record in records_of_run(steps, **logged))
    run.metrics_file.write_text(lines, encoding="utf-8")
    if checkpoint is not None:
        place = run.checkpoints / f"checkpoint-{checkpoint}"
        place.mkdir(parents=True)
        (place / "trainer_state.json").write_text(json.dumps({"max_steps": total}), encoding="utf-8")
        mark_complete(place)
    if changed_at is not None:
        for path in (*folder.rglob("*"), folder):
            os.utime(path, (changed_at, changed_at))
    return run


def write_finished(
    folder: Path,
    config: Config | None = None,
    *,
    score: float = 0.75,
    metric: str = "accuracy",
    steps: int = 6,
    adapter_bytes: int = 4096,
    changed_at: float | None = None,
    **more: Any,
) -> RunFolder:
    """Write a run that is finished.

    Args:
        folder: The run folder.
        config: Its settings.
        score: The main metric of the reported rows.
        metric: Its name.
        steps: That were taken.
        adapter_bytes: Size of its adapter's file.
        changed_at: As of :func:`write_unfinished`.
        **more: Further values of the report, over the usual ones.
    """
    run = write_unfinished(folder, config, steps=steps, checkpoint=steps, total=steps, metric=metric)
    run.adapter.mkdir()
    (run.adapter / "adapter_model.safetensors").write_bytes(b"x" * adapter_bytes)
    (run.adapter / "adapter_config.json").write_text("{}", encoding="utf-8")
    report = {
        "schema_version": 1,
        "run": str(folder),
        "metrics": {metric: score, "loss": 0.5},
        "main_metric": metric,
        "rows": 50,
        "selection": {"split": "selection", "rows": 10, "metric": metric, "value": 0.7},
        "best_step": 4,
        "steps": steps,
        "seconds": 3.5,
        "peak_memory_bytes": 2**20,
        "trainable_parameters": TRAINABLE,
        "total_parameters": TOTAL,
        **more,
    }
    run.report_file.write_text(json.dumps(report), encoding="utf-8")
    if changed_at is not None:
        for path in (*folder.rglob("*"), folder):
            os.utime(path, (changed_at, changed_at))
    return run


def write_trajectory(run: RunFolder, steps: int = 6) -> None:
    """Write a trajectory: queries grow, step 2 is clipped, the last step goes back."""
    lines: list[dict[str, Any]] = [{"header": {"seed": 0}}]
    for step in range(steps):
        record: dict[str, Any] = {"step": step, "loss": 0.7, "g": [0.5, -1.5][: 1 + step // 3], "eps": 0.001}
        record |= {"lr": 0.01, "scale": 1.0, "forward_passes": 2 * (step + 1)}
        if step == 1:
            record["event"] = "clip"
        if step == steps - 1:
            record |= {"event": "rollback", "to": 0, "g": []}
        lines.append(record)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    run.trajectory.write_text(text, encoding="utf-8")
