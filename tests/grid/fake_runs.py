"""Finished runs of a grid that were never trained, with numbers of the test's choice."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
) -> None:
    """Write the files of a finished run that a comparison reads."""
    (path / "adapter").mkdir(parents=True)
    (path / "adapter" / "adapter_model.safetensors").write_bytes(b"x" * 4096)
    write_config(config, path / "config.yaml")
    records = [{"step": step, "split": "train", "loss": loss} for step, loss in TRAIN]
    records += [{"step": step, "split": "selection", "loss": loss} for step, loss in evaluated]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (path / "metrics.jsonl").write_text(lines, encoding="utf-8")
    report = {
        "metrics": {metric: score, "loss": 0.5},
        "main_metric": metric,
        "selection": {"split": "selection"},
        "best_step": 2,
        "trainable_parameters": trainable,
        "seconds": 4.0,
    }
    (path / "report.json").write_text(json.dumps(report), encoding="utf-8")
