"""Finished runs of a grid that were never trained, with numbers of the test's choice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loretta_cli.config import Config, write_config
from loretta_cli.grid.axes import Axes, Faults
from loretta_cli.grid.cells import Cell, make_cells
from loretta_cli.grid.folder import GridFolder

TWO_BY_TWO = Axes(methods=("rep", "lora"), tasks=("sst2", "trec"), seeds=(0, 1))
TRAIN = ((1, 0.7), (2, 0.4))
EVALUATED = ((1, 0.6), (2, 0.5), (3, 0.9))


def cells_of(axes: Axes, *overrides: str, data: str | None = None) -> tuple[Cell, ...]:
    """The cells of a grid on a bundled model, unless it names models or recipes."""
    if not axes.models and not axes.recipes:
        overrides = ("model.name=bundled:minilm", *overrides)
    return make_cells(axes, Faults(), data=data, overrides=overrides)


def score_of(cell: Cell) -> float:
    """A score of its own for each cell of :data:`TWO_BY_TWO`."""
    return {"rep": 0.8, "lora": 0.7}[cell.method] - (0.1 if cell.task == "trec" else 0) + 0.02 * cell.seed


def finish(folder: GridFolder, cell: Cell, score: float, **details: Any) -> None:
    """Make a cell look trained; the details are those of :func:`write_run`."""
    folder.start(cell)
    write_run(folder.run(cell).path, cell.config, score, **details)


def finish_both_gradients(folder: GridFolder, *, seeds: Sequence[int] = (0, 1)) -> tuple[Cell, ...]:
    """adp on sst2 by backpropagation, score 0.9, and by forward passes, score 0.8 (0.6 with seed 1).

    The second one's passes after step s are 10 s + 4, and with seed 1 two more.
    """
    settings = {"training.gradient": ("backprop", "zo")}
    cells = cells_of(Axes(methods=("adp",), tasks=("sst2",), seeds=tuple(seeds), settings=settings))
    for cell in cells:
        if cell.config.training.gradient == "zo":
            passes = {step: 10 * step + 4 + 2 * cell.seed for step in (1, 2, 3)}
            finish(folder, cell, 0.8 - 0.2 * cell.seed, passes=passes)
        else:
            finish(folder, cell, 0.9)
    return cells


def finish_two_data_sets(folder: GridFolder) -> tuple[Cell, ...]:
    """One method on one's own task with two files: 0.9 on ``reviews.csv``, 0.7 on ``tickets.csv``."""
    settings = {"data.source": ("reviews.csv", "tickets.csv")}
    cells = cells_of(Axes(methods=("rep",), tasks=("classification",), settings=settings))
    for cell, score in zip(cells, (0.9, 0.7), strict=True):
        finish(folder, cell, score)
    return cells


def write_run(
    path: Path,
    config: Config,
    score: float,
    *,
    metric: str = "accuracy",
    trainable: int = 1000,
    evaluated: Sequence[tuple[int, float]] = EVALUATED,
    passes: Mapping[int, int] | None = None,
    select_by: str = "metric",
) -> None:
    """Write the files of a finished run that a comparison reads.

    Args:
        path: The run folder.
        config: Of the run.
        score: The main metric of the reported rows; at an evaluation it is this less a tenth for each step.
        metric: Its name.
        trainable: Parameters.
        evaluated: Step and loss.
        passes: Of a zeroth-order training: the forward passes after each step.
        select_by: ``loss`` for evaluations without the metric.
    """
    (path / "adapter").mkdir(parents=True)
    (path / "adapter" / "adapter_model.safetensors").write_bytes(b"x" * 4096)
    write_config(config, path / "config.yaml")
    records: list[dict[str, Any]] = [{"step": step, "split": "train", "loss": loss} for step, loss in TRAIN]
    for step, loss in evaluated:
        scored = {metric: score - step / 10} if select_by == "metric" else {}
        records.append({"step": step, "split": "selection", **scored, "loss": loss})
    for record in records if passes is not None else ():
        record["forward_passes"] = (passes or {})[record["step"]]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (path / "metrics.jsonl").write_text(lines, encoding="utf-8")
    report = {
        "metrics": {metric: score, "loss": 0.5},
        "main_metric": metric,
        "selection": {"split": "selection"},
        "best_step": 2,
        "trainable_parameters": trainable,
        "steps": 3,
        "seconds": 4.0,
        "zeroth_order": None if passes is None else {"forward_passes": max(passes.values())},
    }
    (path / "report.json").write_text(json.dumps(report), encoding="utf-8")
