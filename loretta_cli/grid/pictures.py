"""A comparison as pictures: what :mod:`report.comparison_figure` draws of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loretta_cli.evaluation.metrics import LOWER_IS_BETTER
from loretta_cli.grid.folder import GridFolder
from loretta_cli.grid.scores import Comparison, Row, TaskScore
from loretta_cli.report.comparison_figure import Dot, LossLines, ScorePanel, draw_losses, draw_scores
from loretta_cli.report.figure_parts import Series


def draw_comparison(folder: GridFolder, comparison: Comparison) -> None:
    """Draw the scores and the losses of what is finished.

    Args:
        folder: Where to.
        comparison: With a finished run at least.
    """
    rows = [row.label for row in comparison.rows]
    draw_scores(_score_panels(comparison), folder.scores_picture, rows=rows)
    draw_losses(_loss_lines(comparison), folder.losses_picture, rows=rows)


def _score_panels(comparison: Comparison) -> list[ScorePanel]:
    """One panel a task, and one of their mean."""
    panels = []
    for task in comparison.tasks:
        dots = [
            _dot(row.label, score) for row in comparison.rows if (score := row.tasks.get(task)) is not None
        ]
        metric = comparison.metric(task)
        if metric is not None:
            unit = "" if metric in LOWER_IS_BETTER else ", %"
            panels.append(ScorePanel(task, f"{metric.replace('_', ' ')}{unit}", dots))
    means = [
        Dot(row.label, _mean_parameters(row), 100 * mean, None)
        for row in comparison.rows
        if (mean := comparison.mean_over_tasks(row)) is not None
    ]
    return [*panels, ScorePanel("mean over tasks", "mean score, %", means)] if means else panels


def _dot(label: str, score: TaskScore) -> Dot:
    unit = 1.0 if score.metric in LOWER_IS_BETTER else 100.0
    deviation = None if score.deviation is None else unit * score.deviation
    return Dot(label, score.measures["trainable_parameters"] or 0.0, unit * score.mean, deviation)


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
