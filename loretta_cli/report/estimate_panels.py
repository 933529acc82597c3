"""The panels of a picture that a zeroth-order training has: queries, projected gradients, events.

matplotlib is imported inside functions only. Imports :mod:`report.estimates` and :mod:`report.figure_parts`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loretta_cli.report.figure_parts import SMOOTHED_FROM, Series, smoothed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from loretta_cli.report.estimates import Estimates

_COLOUR = "#4c72b0"
_MARKS = {"skip": ("x", "#000000"), "clip": ("v", "#cc79a7")}
_ROLLBACK: dict[str, Any] = {"color": "#882255", "linestyle": ":", "linewidth": 1.0, "zorder": 1}
_MANY = 100
MOST_POINTS = 2000
"""Of a line; a training may have taken many more steps than a picture has columns."""


def draw_queries(axes: Axes, estimates: Estimates) -> None:
    """The queries of each step that had any, as a line of stairs."""
    from matplotlib.ticker import MaxNLocator

    pairs = zip(estimates.steps, estimates.queries, strict=True)
    points = [(step, count) for step, count in pairs if count]
    steps, counts = [step for step, _ in points], [count for _, count in points]
    axes.plot(steps, counts, color=_COLOUR, linewidth=1.6, drawstyle="steps-post")
    axes.set_ylim(0, 1.25 * max(counts, default=1))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def draw_slopes(axes: Axes, estimates: Estimates) -> None:
    """The mean absolute projected gradient of each step on a logarithmic axis, and what happened to it."""
    pairs = zip(estimates.steps, estimates.sizes, strict=True)
    points = [(step, size) for step, size in pairs if size is not None and size > 0]
    series = Series([step for step, _ in points], [size for _, size in points])
    if len(points) >= SMOOTHED_FROM:
        thin = _thinned(series)
        axes.plot(thin.steps, thin.values, color=_COLOUR, alpha=0.25, linewidth=0.6)
        smooth = _thinned(smoothed(series))
        axes.plot(smooth.steps, smooth.values, color=_COLOUR, linewidth=1.6, label="running mean")
    else:
        axes.plot(series.steps, series.values, color=_COLOUR, linewidth=1.4, marker="o", markersize=3)
    axes.set_yscale("log")
    sizes = dict(points)
    lowest = min(sizes.values())
    counts = estimates.counts()
    for name, (mark, colour) in _MARKS.items():
        steps = [step for step, event in estimates.events if event == name]
        if steps:
            heights = [sizes.get(step, lowest) for step in steps]
            axes.plot(
                *(steps, heights),
                linestyle="none",
                marker=mark,
                markersize=5 if len(steps) < _MANY else 2.5,
                color=colour,
                zorder=4,
                label=f"{name}: {counts[name]:,}",
            )
    if counts["rollback"]:
        axes.plot([], [], label=f"rollback: {counts['rollback']:,}", **_ROLLBACK)


def mark_rollbacks(panels: Sequence[Axes], estimates: Estimates) -> None:
    """A dotted line through every panel where the parameters went back to an earlier point."""
    for step, event in estimates.events:
        if event == "rollback":
            for axes in panels:
                axes.axvline(step, **_ROLLBACK)


def _thinned(series: Series) -> Series:
    """At most so many points as can be seen, the last one among them."""
    every = -(-len(series.steps) // MOST_POINTS)
    return Series(series.steps[::-1][::every][::-1], series.values[::-1][::every][::-1])
