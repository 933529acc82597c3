"""A comparison as pictures, which :mod:`report.comparison_figure` and :mod:`report.passes_figure` draw."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from loretta_cli.evaluation.metrics import LOWER_IS_BETTER
from loretta_cli.grid.folder import GridFolder
from loretta_cli.grid.results import RunResult
from loretta_cli.grid.scores import Comparison, Row, TaskScore
from loretta_cli.report.comparison_figure import Dot, LossLines, ScorePanel, draw_losses, draw_scores
from loretta_cli.report.figure_parts import Series
from loretta_cli.report.passes_figure import Course, RowCourse, TaskCourses, draw_passes


def draw_comparison(folder: GridFolder, comparison: Comparison) -> None:
    """Draw the scores and the losses of what is finished, and both over forward passes if these say more.

    Args:
        folder: Where to.
        comparison: With a finished run at least.
    """
    rows = [row.label for row in comparison.rows]
    draw_scores(_score_panels(comparison), folder.scores_picture, rows=rows)
    draw_losses(_loss_lines(comparison), folder.losses_picture, rows=rows)
    if comparison.has_zeroth_order:
        draw_passes(_courses(comparison), folder.passes_picture, rows=rows)
    else:
        folder.passes_picture.unlink(missing_ok=True)


def _score_panels(comparison: Comparison) -> list[ScorePanel]:
    """One panel a task, and one of their mean."""
    panels = []
    for task in comparison.tasks:
        dots = [
            _dot(row.label, score) for row in comparison.rows if (score := row.tasks.get(task)) is not None
        ]
        metric = comparison.metric(task)
        if metric is not None:
            panels.append(ScorePanel(task, _with_unit(metric), dots))
    means = [
        Dot(row.label, _mean_parameters(row), 100 * mean, None)
        for row in comparison.rows
        if (mean := comparison.mean_over_tasks(row)) is not None
    ]
    return [*panels, ScorePanel("mean over tasks", "mean score, %", means)] if means else panels


def _with_unit(metric: str) -> str:
    return metric.replace("_", " ") + ("" if metric in LOWER_IS_BETTER else ", %")


def _unit(metric: str) -> float:
    return 1.0 if metric in LOWER_IS_BETTER else 100.0


def _dot(label: str, score: TaskScore) -> Dot:
    unit = _unit(score.metric)
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


def _courses(comparison: Comparison) -> list[TaskCourses]:
    """The panels of each task."""
    return [
        TaskCourses(
            task,
            _with_unit(metric),
            [_row_course(row.label, row.tasks[task]) for row in comparison.rows if task in row.tasks],
        )
        for task in comparison.tasks
        if (metric := comparison.metric(task)) is not None
    ]


def _row_course(label: str, score: TaskScore) -> RowCourse:
    results = score.results
    return RowCourse(
        label,
        _course(results, [result.train for result in results]),
        _course(results, [result.evaluated for result in results]),
        _course(results, [result.scored for result in results], unit=_unit(score.metric)),
    )


def _course(results: Sequence[RunResult], series: Sequence[Series], *, unit: float = 1.0) -> Course:
    """A value of all seeds over their passes, at the steps that all of them have."""
    found = [
        {
            step: (result.passes[step], unit * value)
            for step, value in zip(one.steps, one.values, strict=True)
            if step in result.passes
        }
        for result, one in zip(results, series, strict=True)
    ]
    points = [[one[step] for one in found] for step in sorted(set.intersection(*(set(one) for one in found)))]
    values = [[value for _, value in point] for point in points]
    return Course(
        [round(statistics.fmean(passes for passes, _ in point)) for point in points],
        [statistics.fmean(one) for one in values],
        [min(one) for one in values],
        [max(one) for one in values],
    )
