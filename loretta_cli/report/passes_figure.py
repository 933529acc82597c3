"""The picture of a comparison over forward passes: the losses above, the main metric below, for each task.

What a zeroth-order step costs differs from method to method; forward passes are what they all are made of.
matplotlib is imported inside functions only. Imports only :mod:`report.comparison_parts` and
:mod:`report.figure_parts`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loretta_cli.report.comparison_parts import (
    add_legend,
    columns_for,
    draw_evaluated_line,
    draw_train_line,
    empty_figure,
    line_styles,
    looks_of,
    save,
)
from loretta_cli.report.figure_parts import Series, short_number, style_axes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

_LOGARITHMIC_FROM = 8
"""Where the longest row has so many times the passes of the shortest, which would be a stroke at the edge."""
_BAND = 0.14


@dataclass(frozen=True, slots=True)
class Course:
    """One value of a row over its forward passes.

    Args:
        passes: Forward passes so far, a mean over the seeds, rising.
        means: Of the seeds.
        lowest: Of the seeds.
        highest: Of the seeds.
    """

    passes: list[int]
    means: list[float]
    lowest: list[float]
    highest: list[float]

    @property
    def line(self) -> Series:
        """The means."""
        return Series(self.passes, self.means)

    @property
    def is_spread(self) -> bool:
        """Whether the seeds differ."""
        return self.lowest != self.highest


@dataclass(frozen=True, slots=True)
class RowCourse:
    """A row of the table in the panels of a task.

    Args:
        label: What the row is called.
        train: The training loss.
        loss: The loss of the evaluations.
        score: The main metric of the evaluations; empty where they had none.
    """

    label: str
    train: Course
    loss: Course
    score: Course


@dataclass(frozen=True, slots=True)
class TaskCourses:
    """The two panels of a task.

    Args:
        title: Above them.
        score: What the scores are, with their unit.
        rows: Not empty.
    """

    title: str
    score: str
    rows: Sequence[RowCourse]


def draw_passes(tasks: Sequence[TaskCourses], path: Path, *, rows: Sequence[str]) -> None:
    """Draw losses and scores over forward passes: means over the seeds, in a band of their range.

    Args:
        tasks: At least one.
        path: The PNG file to write; its folder exists. It is replaced whole or not at all.
        rows: What all rows are called, so that a row looks the same in every picture.
    """
    columns = columns_for(len(tasks))
    lines = 2 * math.ceil(len(tasks) / columns)
    figure = empty_figure(lines, columns, height=2.7)
    looks = looks_of(rows)
    for index, task in enumerate(tasks):
        place = 2 * columns * (index // columns) + index % columns + 1
        losses = figure.add_subplot(lines, columns, place)
        for row in task.rows:
            draw_train_line(losses, row.train.line, looks[row.label][0])
            _draw(losses, row.loss, looks[row.label], row.label)
        style_axes(losses, task.title)
        losses.set_ylabel("loss", fontsize=9)
        lowest = losses
        if any(row.score.passes for row in task.rows):
            lowest = figure.add_subplot(lines, columns, place + columns, sharex=losses)
            for row in task.rows:
                _draw(lowest, row.score, looks[row.label], row.label)
            style_axes(lowest, "")
            lowest.set_ylabel(task.score, fontsize=9)
            losses.tick_params(labelbottom=False)
        _passes_axis(lowest, is_logarithmic=_is_logarithmic(tasks))
    add_legend(figure, {**line_styles(), **_band_style(tasks)})
    save(figure, path)


def _draw(axes: Axes, course: Course, look: tuple[str, str], label: str) -> None:
    if course.is_spread:
        axes.fill_between(
            course.passes, course.lowest, course.highest, color=look[0], alpha=_BAND, linewidth=0
        )
    draw_evaluated_line(axes, course.line, look, label)


def _band_style(tasks: Sequence[TaskCourses]) -> dict[str, Any]:
    """What the legend says of the bands, if there are any."""
    from matplotlib.patches import Patch

    spread = any(row.loss.is_spread or row.score.is_spread for task in tasks for row in task.rows)
    return {"range over the seeds": Patch(color="#444444", alpha=_BAND)} if spread else {}


def _is_logarithmic(tasks: Sequence[TaskCourses]) -> bool:
    """Whether the rows are of so different lengths that the short ones would not be seen."""
    ends = [
        max(course.passes)
        for task in tasks
        for row in task.rows
        for course in (row.train, row.loss)
        if course.passes
    ]
    return bool(ends) and max(ends) >= _LOGARITHMIC_FROM * min(ends)


def _passes_axis(axes: Axes, *, is_logarithmic: bool) -> None:
    """What is counted, with readable numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    name = "forward passes "
    if is_logarithmic:
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1, 3)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        name = "forward passes, log scale\n"  # in one line as wide as the panel and more
    else:
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10], integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    axes.set_xlabel(f"{name}(a backward pass counts as one)", fontsize=9)
