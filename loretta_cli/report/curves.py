"""The picture of a run: loss, main metric and learning rate over the steps, as one PNG file.

matplotlib is imported inside the drawing function only, without pyplot and its global state. Imports
only :mod:`replacing`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loretta_cli.replacing import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg

_TRAIN_COLOUR = "#4c72b0"
_VALIDATION_COLOUR = "#dd8452"
_BEST_COLOUR = "#2a9d5c"
_RATE_COLOUR = "#7a7a7a"

# From this many points on, the raw training loss is pale and its running mean is drawn over it.
_SMOOTHED_FROM = 40


@dataclass(frozen=True, slots=True)
class _Series:
    """One line of a panel: optimizer steps and the value at each."""

    steps: list[int]
    values: list[float]

    def __bool__(self) -> bool:
        return bool(self.steps)


def draw_curves(records: Sequence[Mapping[str, object]], path: Path, *, main_metric: str) -> None:
    """Draw the curves of a run; a panel without data is left out.

    Args:
        records: As :meth:`MetricsLog.read` gives them: ``step``, ``split`` and values. Values that are
            missing, null or not finite are skipped.
        path: The PNG file to write; its folder exists. It is replaced whole or not at all.
        main_metric: The validation value of the middle panel. Higher is better, unless it is a loss.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    train = _series(records, "train", "loss")
    validation = _series(records, "validation", "loss")
    metric = _series(records, "validation", main_metric)
    rate = _series(records, "train", "learning_rate")
    filled = {
        "loss": bool(train or validation),
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
            _draw_loss(axes, train, validation, best_is_marked=main_metric == "loss")
        elif panel == "metric":
            _draw_line(axes, metric, _VALIDATION_COLOUR, label="validation")
            _mark_best(axes, metric, lowest=main_metric.endswith("loss"))
            _finish(axes, main_metric.replace("_", " "))
        else:
            _draw_line(axes, rate, _RATE_COLOUR, label=None)
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            _finish(axes, "learning rate")
    if not panels:
        figure.text(0.5, 0.5, "nothing logged yet", ha="center", va="center", color=_RATE_COLOUR)
    _write(canvas, path)


def _series(records: Sequence[Mapping[str, object]], split: str, name: str) -> _Series:
    """Pick the finite values called ``name`` of one split, in the order of their steps."""
    points: dict[int, float] = {}
    for record in records:
        step, value = record.get("step"), record.get(name)
        if record.get("split") != split or not isinstance(step, int) or not isinstance(value, int | float):
            continue
        if math.isfinite(value):
            points[step] = float(value)
    steps = sorted(points)
    return _Series(steps, [points[step] for step in steps])


def _smoothed(series: _Series) -> _Series:
    """Take an exponential running mean over about a thirtieth of the points, started without bias."""
    decay = 1 - 1 / max(2.0, len(series.values) / 30)
    mean, weight, means = 0.0, 0.0, []
    for value in series.values:
        mean = decay * mean + (1 - decay) * value
        weight = decay * weight + (1 - decay)
        means.append(mean / weight)
    return _Series(series.steps, means)


def _draw_loss(axes: Axes, train: _Series, validation: _Series, *, best_is_marked: bool) -> None:
    """Draw the loss panel: training (with its running mean when there are many points) and validation."""
    if len(train.steps) >= _SMOOTHED_FROM:
        axes.plot(train.steps, train.values, color=_TRAIN_COLOUR, alpha=0.25, linewidth=0.8)
        smooth = _smoothed(train)
        axes.plot(
            smooth.steps, smooth.values, color=_TRAIN_COLOUR, linewidth=1.6, label="train (running mean)"
        )
    elif train:
        _draw_line(axes, train, _TRAIN_COLOUR, label="train")
    if validation:
        _draw_line(axes, validation, _VALIDATION_COLOUR, label="validation")
        if best_is_marked:
            _mark_best(axes, validation, lowest=True)
    _finish(axes, "loss")


def _draw_line(axes: Axes, series: _Series, colour: str, *, label: str | None) -> None:
    """One line, with dots while the points are few."""
    marker = "o" if len(series.steps) <= 25 else None
    axes.plot(
        series.steps, series.values, color=colour, linewidth=1.6, marker=marker, markersize=3.5, label=label
    )


def _mark_best(axes: Axes, series: _Series, *, lowest: bool) -> None:
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
    """Title, step axis, a light grid and, where a line has a name, a legend."""
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title, fontsize=11, loc="left", parse_math=False)
    axes.set_xlabel("step", fontsize=9)
    axes.tick_params(labelsize=8.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.grid(visible=True, color="#e3e3e3", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.margins(y=0.12)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#9a9a9a")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=True, framealpha=0.85, edgecolor="none")


def _write(canvas: FigureCanvasAgg, path: Path) -> None:
    """Write the figure beside ``path`` and move it there, so that a viewer never sees half a file."""
    with replacing(path) as unfinished:
        canvas.print_figure(unfinished, format="png")
