"""Two pictures of a comparison: score against trainable parameters, and the losses over the steps.

A row of the table has one colour in all pictures. matplotlib is imported inside functions only. Imports only
:mod:`report.comparison_parts` and :mod:`report.figure_parts`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
from loretta_cli.report.figure_parts import Series, short_number, step_axis, style_axes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Dot:
    """A row of the table in a panel of scores.

    Args:
        label: What the row is called.
        parameters: Trainable parameters.
        score: As the table shows it.
        deviation: Over the seeds, or None.
    """

    label: str
    parameters: float
    score: float
    deviation: float | None


@dataclass(frozen=True, slots=True)
class ScorePanel:
    """One panel of scores.

    Args:
        title: Above it.
        score: What the scores are, with their unit.
        dots: Not empty.
    """

    title: str
    score: str
    dots: Sequence[Dot]


@dataclass(frozen=True, slots=True)
class LossLines:
    """A row of the table in a panel of losses.

    Args:
        label: What the row is called.
        train: The training loss.
        evaluated: The evaluation loss.
    """

    label: str
    train: Series
    evaluated: Series


def draw_scores(panels: Sequence[ScorePanel], path: Path, *, rows: Sequence[str]) -> None:
    """Draw score against trainable parameters (on a logarithmic axis), a marker for each row.

    Args:
        panels: At least one.
        path: The PNG file to write; its folder exists. It is replaced whole or not at all.
        rows: What all rows are called, so that a row looks the same in every picture.
    """
    figure, grid = _figure(len(panels))
    looks = looks_of(rows)
    for axes, panel in zip(grid, panels, strict=True):
        for dot in panel.dots:
            colour, marker = looks[dot.label]
            axes.errorbar(
                [max(dot.parameters, 1)],
                [dot.score],
                yerr=None if dot.deviation is None else [dot.deviation],
                linestyle="none",
                marker=marker,
                markersize=8,
                markeredgecolor="white",
                markeredgewidth=0.6,
                color=colour,
                capsize=3,
                label=dot.label,
            )
        style_axes(axes, panel.title)
        axes.set_ylabel(panel.score, fontsize=9)
        _parameter_axis(axes, [dot.parameters for dot in panel.dots])
    add_legend(figure)
    save(figure, path)


def draw_losses(panels: Mapping[str, Sequence[LossLines]], path: Path, *, rows: Sequence[str]) -> None:
    """Draw training losses (thin, dashed) and evaluation losses (thick) over the steps.

    Args:
        panels: Title to lines; none is empty.
        path: The PNG file to write; its folder exists. It is replaced whole or not at all.
        rows: What all rows are called, so that a row looks the same in every picture.
    """
    figure, grid = _figure(len(panels))
    looks = looks_of(rows)
    for axes, (title, lines) in zip(grid, panels.items(), strict=True):
        for line in lines:
            draw_train_line(axes, line.train, looks[line.label][0])
            draw_evaluated_line(axes, line.evaluated, looks[line.label], line.label)
        style_axes(axes, title)
        axes.set_ylabel("loss", fontsize=9)
        step_axis(axes)
    add_legend(figure, line_styles())
    save(figure, path)


def _figure(panels: int) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels."""
    columns = columns_for(panels)
    lines = math.ceil(panels / columns)
    figure = empty_figure(lines, columns)
    return figure, [figure.add_subplot(lines, columns, index + 1) for index in range(panels)]


def _parameter_axis(axes: Axes, parameters: Sequence[float]) -> None:
    """A logarithmic axis with readable numbers, at least a decade wide."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = max(min(parameters), 1), max(*parameters, 1)
    margin = max((10 / (high / low)) ** 0.5, 1.6)
    axes.set_xscale("log")
    axes.set_xlim(low / margin, high * margin)
    decades = math.log10(high * margin) - math.log10(low / margin)
    axes.xaxis.set_major_locator(
        LogLocator(subs=(1, 2, 5) if decades <= 1.7 else (1, 3) if decades < 3 else (1,))
    )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("trainable parameters (log scale)", fontsize=9)
