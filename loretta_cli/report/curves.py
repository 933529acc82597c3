"""The picture of a run: loss, main metric and learning rate over the steps, as one PNG file.

matplotlib is imported inside the drawing function only, without pyplot and its global state. Imports
only :mod:`report.figure_parts`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loretta_cli.report.figure_parts import (
    SMOOTHED_FROM,
    Series,
    series_of,
    smoothed,
    step_axis,
    style_axes,
    write_figure,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

_TRAIN_COLOUR = "#4c72b0"
_VALIDATION_COLOUR = "#dd8452"
_BEST_COLOUR = "#2a9d5c"
_RATE_COLOUR = "#7a7a7a"


def draw_curves(
    records: Sequence[Mapping[str, object]], path: Path, *, main_metric: str, split: str = "validation"
) -> None:
    """Draw the curves of a run; a panel without data is left out.

    Args:
        records: As :meth:`MetricsLog.read` gives them: ``step``, ``split`` and values. Values that are
            missing, null or not finite are skipped.
        path: The PNG file to write; its folder exists. It is replaced whole or not at all.
        main_metric: The value of the middle panel. Higher is better, unless it is a loss.
        split: Of the evaluations that chose the checkpoint.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    train = series_of(records, "train", "loss")
    evaluated = series_of(records, split, "loss")
    metric = series_of(records, split, main_metric)
    rate = series_of(records, "train", "learning_rate")
    filled = {
        "loss": bool(train or evaluated),
        "metric": bool(metric) and main_metric != "loss",
        "rate": bool(rate),
    }
    panels = [panel for panel, has_data in filled.items() if has_data]

    figure = Figure(figsize=(4.4 * max(len(panels), 1), 3.4), dpi=150, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for index, panel in enumerate(panels):
        # One step axis for all panels, so that a point can be followed across them.
        axes = figure.add_subplot(1, len(panels), index + 1, sharex=figure.axes[0] if index else None)
        if panel == "loss":
            _draw_loss(axes, train, evaluated, split, best_is_marked=main_metric == "loss")
        elif panel == "metric":
            _draw_line(axes, metric, _VALIDATION_COLOUR, label=split)
            _mark_best(axes, metric, lowest=main_metric.endswith("loss"))
            _finish(axes, main_metric.replace("_", " "))
        else:
            _draw_line(axes, rate, _RATE_COLOUR, label=None)
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            _finish(axes, "learning rate")
    if not panels:
        figure.text(0.5, 0.5, "nothing logged yet", ha="center", va="center", color=_RATE_COLOUR)
    write_figure(canvas, path)


def _draw_loss(axes: Axes, train: Series, evaluated: Series, split: str, *, best_is_marked: bool) -> None:
    """Draw the loss panel: training (with its running mean when there are many points) and evaluations."""
    if len(train.steps) >= SMOOTHED_FROM:
        axes.plot(train.steps, train.values, color=_TRAIN_COLOUR, alpha=0.25, linewidth=0.8)
        smooth = smoothed(train)
        axes.plot(
            smooth.steps, smooth.values, color=_TRAIN_COLOUR, linewidth=1.6, label="train (running mean)"
        )
    elif train:
        _draw_line(axes, train, _TRAIN_COLOUR, label="train")
    if evaluated:
        _draw_line(axes, evaluated, _VALIDATION_COLOUR, label=split)
        if best_is_marked:
            _mark_best(axes, evaluated, lowest=True)
    _finish(axes, "loss")


def _draw_line(axes: Axes, series: Series, colour: str, *, label: str | None) -> None:
    """One line, with dots while the points are few."""
    marker = "o" if len(series.steps) <= 25 else None
    axes.plot(
        series.steps, series.values, color=colour, linewidth=1.6, marker=marker, markersize=3.5, label=label
    )


def _mark_best(axes: Axes, series: Series, *, lowest: bool) -> None:
    """Put a star on the best point (the first one among equals), named in the legend."""
    best = min(series.values) if lowest else max(series.values)
    step = series.steps[series.values.index(best)]
    axes.plot(
        [step],
        [best],
        linestyle="none",
        marker="*",
        markersize=13,
        color=_BEST_COLOUR,
        markeredgecolor="white",
        zorder=5,
        label=f"best: {best:.4g} at step {step}",
    )


def _finish(axes: Axes, title: str) -> None:
    """Title, step axis and, where a line has a name, a legend."""
    style_axes(axes, title)
    step_axis(axes)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=True, framealpha=0.85, edgecolor="none")
