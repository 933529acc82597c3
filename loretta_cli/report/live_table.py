"""What stands on a terminal while a training goes on: a bar, and below it figures under their names.

There are as many figures as the terminal has room for: all in one row, or in two; below 80 columns the ones
that matter most, in one. No line is ever wrapped. Imports rich, :mod:`numerals`, :mod:`report.formatting`,
:mod:`report.pace` and :mod:`report.sparkline`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from loretta_cli.numerals import memory_in_words
from loretta_cli.report.formatting import clock_time, display_number, one_line
from loretta_cli.report.pace import Pace, Remaining
from loretta_cli.report.sparkline import bucket_means, sparkline

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

_GAP = 2
_COURSE_CELLS = 10
_MOST_MEANS = 1000
_NARROW = 80
"""Below so many columns there is one row of figures."""
_WITH_TITLE = 30
"""So many columns beside the numbers leave room for a word before the bar."""
_TREND_STYLES = {"down": "green", "up": "yellow", "same": "dim"}
MARKS = {"down": "↓", "up": "↑", "same": "→", "best": "★"}
ASCII_MARKS = {"down": "v", "up": "^", "same": "=", "best": "*"}

_FIRST_ROW = ("epoch", "loss", "course", "metric", "best", "rate")
_SECOND_ROW = ("speed", "queries", "memory", "elapsed", "eta")
_BY_WORTH = (
    *("loss", "eta", "metric", "speed", "course", "memory", "best", "elapsed", "rate", "epoch", "queries"),
)
"""Figures, the one that is given up last first."""


@dataclass(frozen=True, slots=True)
class _Figure:
    """A value under its name."""

    name: str
    value: Text

    def cells(self) -> int:
        """Its width."""
        return max(len(self.name), self.value.cell_len)


class _Course:
    """All losses so far, at equal distances; of a long training means of many, so that drawing is quick."""

    def __init__(self) -> None:
        self._means: list[float | None] = []
        self._rest: list[float | None] = []
        self._in_each = 1

    def add(self, loss: float) -> None:
        """Take one more."""
        self._rest.append(loss)
        if len(self._rest) == self._in_each:
            self._means += bucket_means(self._rest, 1)
            self._rest = []
        if len(self._means) == _MOST_MEANS:
            self._means = bucket_means(self._means, _MOST_MEANS // 2)
            self._in_each *= 2

    def values(self) -> list[float | None]:
        """The means, the last one of fewer."""
        return [*self._means, *bucket_means(self._rest, 1)]


class LiveTable:
    """The state of a training as rich draws it, at every redrawing anew.

    Args:
        total_steps: The number of the last step.
        first_step: Steps that were done before.
        ascii_only: Whether the terminal lacks Unicode.
    """

    def __init__(self, total_steps: int, first_step: int = 0, *, ascii_only: bool = False) -> None:
        self.remaining = Remaining(total_steps, first_step)
        self._marks = ASCII_MARKS if ascii_only else MARKS
        self._ascii_only = ascii_only
        self._course = _Course()
        self._last_loss: float | None = None
        self._figures: dict[str, _Figure] = {}
        self._widths: dict[str, int] = {}

    def logged(self, values: Mapping[str, float], pace: Pace | None) -> None:
        """Take the values of a log interval."""
        if (loss := values.get("loss")) is not None:
            self._take_loss(loss)
        if (epoch := values.get("epoch")) is not None:
            self._set("epoch", f"{epoch:.2f}")
        if (rate := values.get("learning_rate")) is not None:
            self._set("rate", display_number("learning_rate", rate))
        if pace is not None:
            self._take_pace(pace)

    def evaluated(self, step: int, values: Mapping[str, float], *, split: str, is_best: bool) -> None:
        """Take the main metric of an evaluation, which comes first, and the best one."""
        name, value = next(iter(values.items()))
        head = f"{split} loss" if name == "loss" else one_line(name).replace("_", " ")
        self._set("metric", display_number(name, value), name=head)
        if is_best:
            self.begun(step, name, value)

    def begun(self, best_step: int, metric: str, value: float) -> None:
        """Take the best evaluation of the steps that were done before."""
        self._set("best", f"{display_number(metric, value)} @{best_step}")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The bar, then the rows of figures."""
        width = options.max_width
        yield self._bar(width)
        for row in self._rows(width):
            yield self._table(row)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """As wide as there is room."""
        return Measurement(1, options.max_width)

    def _take_loss(self, loss: float) -> None:
        text, before = Text(display_number("loss", loss)), self._last_loss
        self._course.add(loss)
        if before is not None:
            trend = "down" if loss < before else "up" if loss > before else "same"
            text.append(f" {self._marks[trend]}", style=_TREND_STYLES[trend])
            course = sparkline(self._course.values(), _COURSE_CELLS, ascii_only=self._ascii_only)
            self._set("course", course.ljust(_COURSE_CELLS), style="cyan", name="")
        self._last_loss = loss
        self._figures["loss"] = _Figure("loss", text)

    def _take_pace(self, pace: Pace) -> None:
        if pace.forward_passes_per_second is not None:
            self._set("speed", _per_second(pace.forward_passes_per_second), name="passes/s")
        elif pace.tokens_per_second is not None:
            self._set("speed", _per_second(pace.tokens_per_second), name="tokens/s")
        else:
            self._set("speed", _per_second(pace.rows_per_second), name="rows/s")
        if pace.queries is not None:
            self._set("queries", str(pace.queries))
        if pace.memory_bytes is not None:
            self._set("memory", memory_in_words(pace.memory_bytes))

    def _set(self, key: str, value: str, *, name: str | None = None, style: str = "") -> None:
        self._figures[key] = _Figure(key if name is None else name, Text(value, style=style))

    def _bar(self, width: int) -> Table:
        step, total = self.remaining.step, self.remaining.total_steps
        count = Text(f"{step:,}/{total:,}".rjust(2 * len(f"{total:,}") + 1))
        grid, words = Table.grid(padding=(0, 1), expand=True), list[Text | ProgressBar]()
        if width >= _WITH_TITLE + count.cell_len:
            grid.add_column(no_wrap=True)
            words.append(Text("Training"))
        grid.add_column(ratio=1)
        words.append(ProgressBar(total=max(total, 1), completed=step))
        grid.add_column(no_wrap=True, justify="right")
        words.append(count)
        grid.add_row(*words)
        return grid

    def _rows(self, width: int) -> Iterable[Sequence[tuple[str, _Figure]]]:
        """Which figures are shown in which row."""
        figures = dict(self._figures)
        figures["elapsed"] = _Figure("elapsed", Text(clock_time(self.remaining.elapsed)))
        left = self.remaining.seconds()
        figures["eta"] = _Figure("eta", Text("-" if left is None else clock_time(left)))
        for key, figure in figures.items():
            # A column that has been wider stays so: what stands beside it does not jump.
            self._widths[key] = max(self._widths.get(key, 0), figure.cells())
        every = [key for key in (*_FIRST_ROW, *_SECOND_ROW) if key in figures]
        rows = [every]
        if width >= _NARROW and self._cells(every) > width:
            rows = [[key for key in row if key in figures] for row in (_FIRST_ROW, _SECOND_ROW)]
        for row in rows:
            shown = self._fitting(row, width)
            yield [(key, figures[key]) for key in row if key in shown]

    def _fitting(self, keys: Iterable[str], width: int) -> set[str]:
        """The figures of a row that have room beside each other."""
        shown: list[str] = []
        for key in sorted(keys, key=_BY_WORTH.index):
            if self._cells([*shown, key]) <= width:
                shown.append(key)
        return set(shown)

    def _cells(self, keys: Sequence[str]) -> int:
        return sum(self._widths[key] for key in keys) + _GAP * (len(keys) - 1)

    def _table(self, row: Sequence[tuple[str, _Figure]]) -> Table:
        table = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
        for key, _ in row:
            table.add_column(
                no_wrap=True,
                width=self._widths[key],
                justify="left" if key in ("loss", "course") else "right",
            )
        table.add_row(*(Text(figure.name, style="dim") for _, figure in row))
        table.add_row(*(figure.value for _, figure in row))
        return table


def _per_second(value: float) -> str:
    """A rate: "12,345", "81.3", "0.512"."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
