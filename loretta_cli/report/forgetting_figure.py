"""The picture of several tasks learned one after the other: a line a task, over the stages.

matplotlib is imported inside the drawing function only. Imports only :mod:`report.figure_parts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loretta_cli.report.figure_parts import style_axes, write_figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

_COLOURS = ("#4c72b0", "#dd8452", "#2a9d5c", "#c44e52", "#8172b3", "#937860", "#da8bc3", "#7a7a7a")


@dataclass(frozen=True, slots=True)
class TaskLine:
    """One line of the picture.

    Args:
        name: Of the task.
        score: What its scores are, with their unit; tasks with the same stand in one panel.
        stage: The number of its own stage, from 0, which is marked.
        scores: One a stage; None where there is none.
        majority: A dashed line, if not None.
    """

    name: str
    score: str
    stage: int
    scores: Sequence[float | None]
    majority: float | None


def draw_forgetting(lines: Sequence[TaskLine], stages: Sequence[str], path: Path) -> None:
    """Draw the scores of all tasks over the stages, a panel for each kind of score.

    Args:
        lines: One a task.
        stages: Names below the axis.
        path: The PNG file to write; its folder exists. It is replaced whole or not at all.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    kinds = list(dict.fromkeys(line.score for line in lines))
    size = (max(5.6, 1.5 * len(stages) + 2.6), 3.1 * len(kinds) + 0.5)
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    colours = {line.name: _COLOURS[number % len(_COLOURS)] for number, line in enumerate(lines)}
    for number, kind in enumerate(kinds):
        axes = figure.add_subplot(len(kinds), 1, number + 1)
        _draw_kind(axes, [line for line in lines if line.score == kind], stages, colours)
        style_axes(axes, "" if number else "validation score after each stage")
        axes.set_ylabel(kind, fontsize=9)
        axes.set_xlim(-0.25, len(stages) - 0.75)
    write_figure(canvas, path)


def _draw_kind(
    axes: Axes, lines: Sequence[TaskLine], stages: Sequence[str], colours: Mapping[str, str]
) -> None:
    """The tasks of one kind of score, and what the marks mean."""
    for number, line in enumerate(lines):
        _draw_task(axes, line, number, colours[line.name])
    if any(line.majority is not None for line in lines):
        axes.plot([], [], color="#555555", linestyle="--", linewidth=1.1, label="majority class")
    axes.plot([], [], color="#555555", linestyle="none", marker="o", markersize=8, label="trained here")
    axes.set_xticks(range(len(stages)), [f"after {stage}" for stage in stages])
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _draw_task(axes: Axes, line: TaskLine, number: int, colour: str) -> None:
    """The scores of a task, its own stage marked, and its majority class over the whole width."""
    known = {stage: score for stage, score in enumerate(line.scores) if score is not None}
    stages, scores = list(known), list(known.values())
    axes.plot(stages, scores, color=colour, linewidth=1.6, marker="o", markersize=4, label=line.name)
    if line.stage in known:
        axes.plot([line.stage], [known[line.stage]], color=colour, marker="o", markersize=8)
    if line.majority is not None:
        # Two tasks of as many rows of each label have one line: the dashes of three alternate.
        dashes = (4 * (number % 3), (3.4, 8.6))
        axes.axhline(line.majority, color=colour, linestyle=dashes, linewidth=1.3)
