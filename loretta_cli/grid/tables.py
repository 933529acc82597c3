"""A comparison as tables for people (screen and Markdown), as CSV and JSON for programs, and as pictures.

For people, scores are percent where they are shares or correlations; for programs they are as in report.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.filesize import decimal

from loretta_cli.artifacts.files import explained, write_json, write_text
from loretta_cli.evaluation.metrics import LOWER_IS_BETTER
from loretta_cli.grid.folder import GridFolder
from loretta_cli.grid.scores import MEASURES, Comparison, Row, TaskScore
from loretta_cli.measure.published_scores import PublishedScore
from loretta_cli.report.comparison_figure import Dot, LossLines, draw_losses, draw_scores
from loretta_cli.report.figure_parts import Series
from loretta_cli.report.table_files import csv_table, markdown_table

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]
"""Column heads and rows."""

_NOTES = (
    "Scores are those of the reported rows after training, in percent: mean ± sample standard deviation over "
    "the seeds, and in brackets their number.",
    "The training loss is the last one logged, with dropout; the others are of the rows that choose the "
    "checkpoint. The gap is the loss at the end less the training loss; the variance is of all evaluations.",
)
_PAPER = "The paper's numbers are of its own rows, epochs and learning rates, mostly of a single run."
NONE = "-"


def write_comparison(folder: GridFolder, comparison: Comparison) -> None:
    """Write the tables and the pictures; each file is replaced whole.

    Raises:
        OutputError: If one cannot be written.
    """
    with explained(folder.path):
        folder.path.mkdir(parents=True, exist_ok=True)
        if comparison.finished:
            rows = [row.label for row in comparison.rows]
            draw_scores(_dots(comparison), folder.scores_picture, rows=rows)
            draw_losses(_loss_lines(comparison), folder.losses_picture, rows=rows)
    write_text(folder.table, markdown(comparison))
    write_text(folder.csv, csv_text(comparison))
    write_json(folder.document, {"schema_version": 1, **as_json(comparison)})


def score_table(comparison: Comparison) -> Table:
    """Rows against tasks, and what each costs."""
    heads = ["method"]
    for task in comparison.tasks:
        heads.append(f"{task} ({_metric(comparison, task)})")
        heads += ["paper"] if _has_published(comparison, task) else []
    heads += ["mean"] if len(comparison.tasks) > 1 else []
    heads += ["trainable", "storage", "seconds"]
    lines = []
    for row in comparison.rows:
        cells = [row.label]
        for task in comparison.tasks:
            score = row.tasks.get(task)
            cells.append(_score(score, several=_has_seeds(comparison)) if score else NONE)
            if _has_published(comparison, task):
                cells.append(_published(score))
        if len(comparison.tasks) > 1:
            mean = comparison.mean_over_tasks(row)
            cells.append(NONE if mean is None else f"{100 * mean:.2f}")
        cells += [
            _range(row, "trainable_parameters", "{:,.0f}".format),
            _range(row, "storage_bytes", lambda size: decimal(int(size))),
            _range(row, "seconds", "{:,.0f}".format),
        ]
        lines.append(tuple(cells))
    return tuple(heads), lines


def loss_table(comparison: Comparison) -> Table:
    """Over-fitting: the losses of each row on each task."""
    heads = ("method", "task", "best step", "train loss", "loss at best", "loss at end", "gap", "variance")
    names = ("best_step", *MEASURES[MEASURES.index("train_loss") :])
    lines = [
        (row.label, task, *(_number(row.tasks[task].measures[name]) for name in names))
        for row in comparison.rows
        for task in comparison.tasks
        if task in row.tasks
    ]
    return heads, lines


def markdown(comparison: Comparison) -> str:
    """The comparison as a document."""
    cells = comparison.cells
    still = len(cells) - len(comparison.finished) - len(comparison.failed)
    counts = f"{len(comparison.finished)} of {len(cells)} runs are finished"
    counts += f", {len(comparison.failed)} failed" if comparison.failed else ""
    counts += f", {still} are still to be done" if still else ""
    parts = ["# Comparison", f"{counts}.", markdown_table(*score_table(comparison)).rstrip()]
    if comparison.finished:
        parts += [
            "![Score against trainable parameters](comparison.png)",
            "## Losses",
            markdown_table(*loss_table(comparison)).rstrip(),
            "![Train and evaluation loss over the steps](losses.png)",
        ]
    if comparison.failed:
        parts += ["## Failed", "\n".join(f"- {cell.cell.name}: {cell.reason}" for cell in comparison.failed)]
    parts += ["## Notes", "\n".join(f"- {note}" for note in notes(comparison))]
    return "\n\n".join(parts) + "\n"


def notes(comparison: Comparison) -> list[str]:
    """What is to be known of the tables."""
    told = list(_NOTES)
    published = [
        (row.label, task, score.published)
        for row in comparison.rows
        for task, score in row.tasks.items()
        if score.published is not None
    ]
    if published:
        told.append(f"{_PAPER} From: {', '.join(dict.fromkeys(cell.table for _, _, cell in published))}.")
    told += [
        f"{label} on {task}, {cell.table}: {cell.reason}." for label, task, cell in published if cell.reason
    ]
    return told


def csv_text(comparison: Comparison) -> str:
    """One line for each row of the table and each task."""
    columns = (
        *("row", "model", "method", "settings", "recipe", "task", "metric", "score", "deviation", "seeds"),
        *(*MEASURES, "published_score", "published_table"),
    )
    lines = []
    for row in comparison.rows:
        for task, score in row.tasks.items():
            published = score.published and _published_document(score.published)
            values = {
                **_row_document(row),
                "settings": ", ".join(f"{name}={value}" for name, value in row.key.said),
                "task": task,
                **_task_document(score),
                "seeds": len(score.scores),
                "published_score": published and published["score"],
                "published_table": published and published["table"],
            }
            lines.append([values[name] for name in columns])
    return csv_table(columns, lines)


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain data."""
    return {
        "tasks": list(comparison.tasks),
        "rows": [
            {
                **_row_document(row),
                "mean": comparison.mean_over_tasks(row),
                "tasks": {task: _task_document(score) for task, score in row.tasks.items()},
            }
            for row in comparison.rows
        ],
        "cells": [
            {
                "name": cell.cell.name,
                "model": cell.cell.model,
                "method": cell.cell.method,
                "task": cell.cell.task,
                "seed": cell.cell.seed,
                "state": cell.state,
                "reason": cell.reason or None,
                "metrics": None if cell.result is None else dict(cell.result.metrics),
                **({} if cell.result is None else cell.result.measures),
            }
            for cell in comparison.cells
        ],
    }


def _row_document(row: Row) -> dict[str, Any]:
    return {
        "row": row.label,
        "model": row.key.model,
        "method": row.key.method,
        "settings": dict(row.key.said),
        "recipe": row.key.recipe or None,
    }


def _task_document(score: TaskScore) -> dict[str, Any]:
    return {
        "metric": score.metric,
        "score": score.mean,
        "deviation": score.deviation,
        "scores": list(score.scores),
        **score.measures,
        "published": None if score.published is None else _published_document(score.published),
    }


def _published_document(cell: PublishedScore) -> dict[str, Any]:
    """A printed number in the unit of ours."""
    number = cell.score if cell.metric in LOWER_IS_BETTER else round(cell.score / 100, 6)
    return {"score": number, "metric": cell.metric, "table": cell.table, "reason": cell.reason or None}


def _metric(comparison: Comparison, task: str) -> str:
    found = (row.tasks[task].metric for row in comparison.rows if task in row.tasks)
    return next(found, NONE).replace("_", " ")


def _has_published(comparison: Comparison, task: str) -> bool:
    return any(task in row.tasks and row.tasks[task].published is not None for row in comparison.rows)


def _has_seeds(comparison: Comparison) -> bool:
    return len({cell.cell.seed for cell in comparison.cells}) > 1


def _shown(value: float, metric: str) -> str:
    return f"{value:.4f}" if metric in LOWER_IS_BETTER else f"{100 * value:.2f}"


def _score(score: TaskScore, *, several: bool) -> str:
    text = _shown(score.mean, score.metric)
    if score.deviation is not None:
        text += f" ± {_shown(score.deviation, score.metric)}"
    return f"{text} ({len(score.scores)})" if several else text


def _published(score: TaskScore | None) -> str:
    if score is None or score.published is None:
        return NONE
    cell = score.published
    return f"{cell.score:.2f}" if cell.metric == score.metric else f"{cell.score:.2f} {cell.metric}"


def _range(row: Row, name: str, text: Any) -> str:
    """A number of a row's runs, from the smallest task's to the largest's; one where they are the same."""
    found = [score.measures[name] for score in row.tasks.values()]
    ends = sorted(value for value in found if value is not None)
    if not ends:
        return NONE
    return " to ".join(dict.fromkeys((text(ends[0]), text(ends[-1]))))


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.4g}"


def _dots(comparison: Comparison) -> Mapping[str, Sequence[Dot]]:
    """The points of each panel: one panel a task, and their mean."""
    panels: dict[str, list[Dot]] = {}
    for task in comparison.tasks:
        metric = _metric(comparison, task)
        panels[f"{task}, {metric}"] = [
            _dot(row.label, score, score.mean, score.deviation)
            for row in comparison.rows
            if (score := row.tasks.get(task)) is not None
        ]
    means = [(row, mean) for row in comparison.rows if (mean := comparison.mean_over_tasks(row)) is not None]
    if means:
        panels["mean over tasks"] = [
            Dot(row.label, _mean_parameters(row), 100 * mean, None) for row, mean in means
        ]
    return {title: dots for title, dots in panels.items() if dots}


def _dot(label: str, score: TaskScore, mean: float, deviation: float | None) -> Dot:
    unit = 1.0 if score.metric in LOWER_IS_BETTER else 100.0
    parameters = score.measures["trainable_parameters"] or 0.0
    return Dot(label, parameters, unit * mean, None if deviation is None else unit * deviation)


def _mean_parameters(row: Row) -> float:
    found = [score.measures["trainable_parameters"] or 0.0 for score in row.tasks.values()]
    return sum(found) / len(found)


def _loss_lines(comparison: Comparison) -> Mapping[str, Sequence[LossLines]]:
    """The lines of each task's panel: the mean of the seeds, at the steps that all of them have."""
    return {
        task: [
            LossLines(
                row.label,
                _mean_series([result.train for result in row.tasks[task].results]),
                _mean_series([result.evaluated for result in row.tasks[task].results]),
            )
            for row in comparison.rows
            if task in row.tasks
        ]
        for task in comparison.tasks
        if any(task in row.tasks for row in comparison.rows)
    }


def _mean_series(series: Sequence[Series]) -> Series:
    values = [dict(zip(one.steps, one.values, strict=True)) for one in series]
    steps = sorted(set.intersection(*(set(one) for one in values)))
    return Series(steps, [sum(one[step] for one in values) / len(values) for step in steps])
