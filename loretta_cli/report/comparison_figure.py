"""The pictures of a comparison: score against trainable parameters, and the losses over the steps.

A row of the table has one colour in both. matplotlib is imported inside functions only. Imports only
:mod:`report.figure_parts`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loretta_cli.report.figure_parts import (
    SMOOTHED_FROM,
    Series,
    smoothed,
    step_axis,
    style_axes,
    write_figure,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = "osD^vP*X<>hp"
_COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"),
    *("#7f3c8d", "#666666", "#a5aa00", "#8c564b", "#1f3a5f", "#e83f6f"),
)
_TRAIN_LINE = (0, (4, 2))
_MOST_COLUMNS = 4
_MOST_LEGEND_COLUMNS = 8
# Inches in a legend, at its size of text.
_LETTER, _HANDLE = 0.075, 0.65


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
    looks = _looks(rows)
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
    _legend(figure, grid)
    _save(figure, path)


def draw_losses(panels: Mapping[str, Sequence[LossLines]], path: Path, *, rows: Sequence[str]) -> None:
    """Draw training losses (thin, dashed) and evaluation losses (thick) over the steps.

    Args:
        panels: Title to lines; none is empty.
        path: The PNG file to write; its folder exists. It is replaced whole or not at all.
        rows: What all rows are called, so that a row looks the same in every picture.
    """
    figure, grid = _figure(len(panels))
    looks = _looks(rows)
    for axes, (title, lines) in zip(grid, panels.items(), strict=True):
        for line in lines:
            colour, marker = looks[line.label]
            train = smoothed(line.train) if len(line.train.steps) >= SMOOTHED_FROM else line.train
            axes.plot(
                train.steps,
                train.values,
                color=colour,
                linewidth=1,
                linestyle=_TRAIN_LINE,
                marker="." if len(train.steps) == 1 else None,
                alpha=0.8,
            )
            axes.plot(
                line.evaluated.steps,
                line.evaluated.values,
                color=colour,
                linewidth=1.9,
                marker=marker if len(line.evaluated.steps) <= 25 else None,
                markersize=4.5,
                label=line.label,
            )
        style_axes(axes, title)
        axes.set_ylabel("loss", fontsize=9)
        step_axis(axes)
    _legend(figure, grid, line_styles=True)
    _save(figure, path)


def _figure(panels: int) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = panels if panels <= _MOST_COLUMNS else math.ceil(panels / math.ceil(panels / _MOST_COLUMNS))
    lines = math.ceil(panels / columns)
    size = (max(4.2 * columns, 6.5), 3.3 * lines + 0.6)
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(w_pad=0.1, h_pad=0.1)
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(lines, columns, index + 1) for index in range(panels)]


def _looks(rows: Sequence[str]) -> dict[str, tuple[str, str]]:
    """A colour and a marker for each row; a colour that comes again has another marker."""
    count = len(_COLOURS)
    return {
        row: (_COLOURS[index % count], _MARKERS[(index + index // count) % len(_MARKERS)])
        for index, row in enumerate(rows)
    }


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
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("trainable parameters (log scale)", fontsize=9)


def _short(value: float) -> str:
    """12k, 3M."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


def _legend(figure: Figure, grid: Sequence[Axes], *, line_styles: bool = False) -> None:
    """One legend for all panels, below them."""
    from matplotlib.lines import Line2D

    handles: dict[str, Any] = {}
    for axes in grid:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if line_styles:
        handles["train"] = Line2D([], [], color="#444444", linewidth=1, linestyle=_TRAIN_LINE)
        handles["evaluation"] = Line2D([], [], color="#444444", linewidth=1.9)
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower center",
        ncols=_legend_columns(list(handles), figure.get_figwidth()),
        fontsize=8.5,
        frameon=False,
    )


def _legend_columns(labels: Sequence[str], width: float) -> int:
    """As many columns as have room, the lines of equal length."""
    room = int(width / (_LETTER * max(map(len, labels)) + _HANDLE))
    most = max(1, min(len(labels), _MOST_LEGEND_COLUMNS, room))
    return math.ceil(len(labels) / math.ceil(len(labels) / most))


def _save(figure: Figure, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    assert isinstance(figure.canvas, FigureCanvasAgg)
    write_figure(figure.canvas, path)
