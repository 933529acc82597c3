"""A comparison as CSV and JSON for programs; scores are as in report.json."""

from __future__ import annotations

from typing import Any

from loretta_cli.evaluation.metrics import LOWER_IS_BETTER
from loretta_cli.grid.results import MEASURES
from loretta_cli.grid.scores import Comparison, Row, TaskScore
from loretta_cli.measure.published_scores import PublishedScore
from loretta_cli.report.table_files import csv_table


def csv_text(comparison: Comparison) -> str:
    """One line for each row of the table and each task."""
    columns = (
        *("row", "model", "method", "settings", "recipe", "task", "metric", "score", "deviation", "seeds"),
        *(*MEASURES, "published_score", "published_table", "data"),
    )
    lines = []
    for row in comparison.rows:
        for task, score in row.tasks.items():
            published = score.published and _published_document(score.published)
            values = {
                **_row_document(row),
                "settings": ", ".join(f"{name}={value}" for name, value in row.key.said),
                **_task_document(score),
                "task": task,
                "seeds": len(score.scores),
                "published_score": published and published["score"],
                "published_table": published and published["table"],
                "data": score.source,
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
                "data": cell.cell.source,
                "column": cell.column,
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
        "task": score.task,
        "data": score.source,
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
