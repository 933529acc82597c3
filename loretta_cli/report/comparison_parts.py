"""What the pictures of a comparison have in common: colours and markers, the grid of panels, the legend.

matplotlib is imported inside functions only. Imports only :mod:`report.figure_parts`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from loretta_cli.report.figure_parts import SMOOTHED_FROM, Series, smoothed, write_figure

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
_GREY = "#444444"
_TRAIN_LINE = (0, (4, 2))
_MOST_COLUMNS = 4
_MOST_LEGEND_COLUMNS = 8
# Inches in a legend, at its size of text.
_LETTER, _HANDLE = 0.07, 0.65


def columns_for(panels: int) -> int:
    """How many panels stand side by side."""
    return panels if panels <= _MOST_COLUMNS else math.ceil(panels / math.ceil(panels / _MOST_COLUMNS))


def empty_figure(lines: int, columns: int, *, height: float = 3.3) -> Figure:
    """A figure with room for so many panels, and for a legend below them.

    Args:
        lines: Of panels.
        columns: Of panels.
        height: Of a panel, in inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    size = (max(4.2 * columns, 6.5), height * lines + 0.6)
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(w_pad=0.1, h_pad=0.1)
    FigureCanvasAgg(figure)
    return figure


def looks_of(rows: Sequence[str]) -> dict[str, tuple[str, str]]:
    """A colour and a marker for each row; a colour that comes again has another marker."""
    count = len(_COLOURS)
    return {
        row: (_COLOURS[index % count], _MARKERS[(index + index // count) % len(_MARKERS)])
        for index, row in enumerate(rows)
    }


def draw_train_line(axes: Axes, train: Series, colour: str) -> None:
    """A training loss: thin and dashed, its running mean where it has many points."""
    line = smoothed(train) if len(train.steps) >= SMOOTHED_FROM else train
    axes.plot(
        line.steps,
        line.values,
        color=colour,
        linewidth=1,
        linestyle=_TRAIN_LINE,
        marker="." if len(line.steps) == 1 else None,
        alpha=0.8,
    )


def draw_evaluated_line(axes: Axes, evaluated: Series, look: tuple[str, str], label: str) -> None:
    """What was evaluated: thick, with markers while they are few.

    Args:
        axes: The panel.
        evaluated: The line.
        look: Colour and marker.
        label: What the row is called.
    """
    colour, marker = look
    axes.plot(
        evaluated.steps,
        evaluated.values,
        color=colour,
        linewidth=1.9,
        marker=marker if len(evaluated.steps) <= 25 else None,
        markersize=4.5,
        label=label,
    )


def line_styles() -> dict[str, Any]:
    """What a legend says of the two kinds of lines."""
    from matplotlib.lines import Line2D

    return {
        "train": Line2D([], [], color=_GREY, linewidth=1, linestyle=_TRAIN_LINE),
        "evaluation": Line2D([], [], color=_GREY, linewidth=1.9),
    }


def add_legend(figure: Figure, more: Mapping[str, Any] | None = None) -> None:
    """One legend for all panels, below them.

    Args:
        figure: With its panels.
        more: Text to handle, after those of the rows.
    """
    handles: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    handles |= more or {}
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


def save(figure: Figure, path: Path) -> None:
    """Write a figure; the file is replaced whole or not at all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    assert isinstance(figure.canvas, FigureCanvasAgg)
    write_figure(figure.canvas, path)
