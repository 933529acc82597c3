"""What the pictures have in common: series picked from a log, a running mean, the look, the writing.

matplotlib is imported inside functions only, without pyplot and its global state. Imports only
:mod:`replacing`.
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

SMOOTHED_FROM = 40
"""From this many points on, a training loss is drawn as its running mean."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a panel: optimizer steps and the value at each."""

    steps: list[int]
    values: list[float]

    def __bool__(self) -> bool:
        return bool(self.steps)


def series_of(records: Sequence[Mapping[str, object]], split: str, name: str) -> Series:
    """Pick the finite values called ``name`` of one split, in the order of their steps."""
    points: dict[int, float] = {}
    for record in records:
        step, value = record.get("step"), record.get(name)
        if record.get("split") != split or not isinstance(step, int) or not isinstance(value, int | float):
            continue
        if math.isfinite(value):
            points[step] = float(value)
    steps = sorted(points)
    return Series(steps, [points[step] for step in steps])


def smoothed(series: Series) -> Series:
    """Take an exponential running mean over about a thirtieth of the points, started without bias."""
    decay = 1 - 1 / max(2.0, len(series.values) / 30)
    mean, weight, means = 0.0, 0.0, []
    for value in series.values:
        mean = decay * mean + (1 - decay) * value
        weight = decay * weight + (1 - decay)
        means.append(mean / weight)
    return Series(series.steps, means)


def style_axes(axes: Axes, title: str) -> None:
    """Title, a light grid, no frame above and to the right."""
    axes.set_title(title, fontsize=11, loc="left", parse_math=False)
    axes.tick_params(labelsize=8.5)
    axes.grid(visible=True, color="#e3e3e3", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.margins(y=0.12)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#9a9a9a")


def step_axis(axes: Axes) -> None:
    """Whole steps from left to right."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("step", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def short_number(value: float) -> str:
    """A number on an axis in few characters: 12k, 3M."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


def write_figure(canvas: FigureCanvasAgg, path: Path) -> None:
    """Write the figure beside ``path`` and move it there, so that a viewer never sees half a file."""
    with replacing(path) as unfinished:
        canvas.print_figure(unfinished, format="png")
