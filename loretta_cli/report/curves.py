"""The picture of a run: loss, main metric and learning rate over the steps, as one PNG file.

Of a zeroth-order training also queries and projected gradients, with what happened to them. matplotlib is
imported inside the drawing function only, without pyplot and its global state. Imports
:mod:`report.figure_parts`, :mod:`report.estimates` and :mod:`report.estimate_panels`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loretta_cli.report.estimate_panels import draw_queries, draw_slopes, mark_rollbacks
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

    from loretta_cli.report.estimates import Estimates

_TRAIN_COLOUR = "#4c72b0"
_VALIDATION_COLOUR = "#d55e00"
_BEST_COLOUR = "#117733"
_RATE_COLOUR = "#5f5f5f"
_MOST_PANELS_IN_A_ROW = 3


def draw_curves(
    records: Sequence[Mapping[str, object]],
    path: Path,
    *,
    main_metric: str,
    split: str = "validation",
    best_step: int | None = None,
    estimates: Estimates | None = None,
) -> None:
    """Draw the curves of a run; a panel without data is left out.

    Args:
        records: As :meth:`MetricsLog.read` gives them: ``step``, ``split`` and values. Values that are
            missing, null or not finite are skipped.
        path: The PNG file to write; its folder exists. It is replaced whole or not at all.
        main_metric: The value of the middle panel.
        split: Of the evaluations that chose the checkpoint.
        best_step: The step of the adapter that is kept (so far), which is marked; None if there is none.
        estimates: Of a zeroth-order training: its queries, projected gradients and events.
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
        "queries": bool(estimates),
        "slopes": bool(estimates and any(estimates.sizes)),
    }
    panels = [panel for panel, has_data in filled.items() if has_data]
    in_a_row = min(max(len(panels), 1), _MOST_PANELS_IN_A_ROW)
    lines = -(-max(len(panels), 1) // in_a_row)

    figure = Figure(figsize=(4.4 * in_a_row, 3.4 * lines), dpi=150, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for index, panel in enumerate(panels):
        # One step axis for all panels, so that a point can be followed across them.
        axes = figure.add_subplot(lines, in_a_row, index + 1, sharex=figure.axes[0] if index else None)
        if panel == "loss":
            _draw_loss(axes, train, evaluated, split, best_step if main_metric == "loss" else None)
        elif panel == "metric":
            _draw_line(axes, metric, _VALIDATION_COLOUR, label=split)
            _mark_best(axes, metric, best_step)
            _finish(axes, main_metric.replace("_", " "))
        elif panel == "rate":
            _draw_line(axes, rate, _RATE_COLOUR, label=None)
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            _finish(axes, "learning rate")
        elif estimates is not None and panel == "queries":
            draw_queries(axes, estimates)
            _finish(axes, "queries a step")
        elif estimates is not None:
            draw_slopes(axes, estimates)
            _finish(axes, "size of the projected gradient")
    if estimates:
        mark_rollbacks(figure.axes, estimates)
    if not panels:
        figure.text(0.5, 0.5, "nothing logged yet", ha="center", va="center", color=_RATE_COLOUR)
    write_figure(canvas, path)


def _draw_loss(axes: Axes, train: Series, evaluated: Series, split: str, best_step: int | None) -> None:
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
        _mark_best(axes, evaluated, best_step)
    _finish(axes, "loss")


def _draw_line(axes: Axes, series: Series, colour: str, *, label: str | None) -> None:
    """One line, with dots while the points are few."""
    marker = "o" if len(series.steps) <= 25 else None
    axes.plot(
        series.steps, series.values, color=colour, linewidth=1.6, marker=marker, markersize=3.5, label=label
    )


def _mark_best(axes: Axes, series: Series, step: int | None) -> None:
    """Put a star on the point of the step that is kept, named in the legend."""
    if step not in series.steps:
        return
    best = series.values[series.steps.index(step)]
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
    """Title, step axis and, where a line has a name, a legend below, where it covers no point."""
    style_axes(axes, title)
    step_axis(axes)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
