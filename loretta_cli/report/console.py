"""The reporter for a person at a terminal: a panel, a progress bar, evaluation lines above it, tables.

Only this and :mod:`report.screen_tables` draw with rich. Width, colours and ``NO_COLOR`` are rich's own
business: nothing is forced here. Every text is handed over as :class:`rich.text.Text`, so brackets in it are
never markup.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.panel import Panel
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from loretta_cli.report.formatting import (
    clean,
    display_number,
    one_line,
    tolerate_any_character,
)
from loretta_cli.report.plain import PlainReporter
from loretta_cli.report.screen_tables import tables_for_screen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loretta_cli.errors import LorettaError

# Redrawing more often costs a small model on a CPU more than anyone sees.
_REDRAWS_PER_SECOND = 4
# The time to go is an average over this many seconds: steps may take minutes, and evaluations interrupt.
_SPEED_WINDOW_SECONDS = 900.0
# What the rest of the bar needs; the metric is left out where a narrow terminal has no room for it.
_BAR_CELLS = 55
_MARKS = {"down": "↓", "up": "↑", "same": "→", "best": "★"}
_ASCII_MARKS = {"down": "v", "up": "^", "same": "=", "best": "*"}


class ConsoleReporter:
    """Colours, a panel and a progress bar on stderr; tables on stdout.

    When stdout is no terminal, results are written as :class:`PlainReporter` writes them: nothing is
    wrapped or cut to fit a screen that is not there.

    Args:
        stdout: Where results go; the process's own stdout if None.
        stderr: Where everything else goes; the process's own stderr if None.
    """

    def __init__(self, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        stdout = tolerate_any_character(stdout or sys.stdout)
        stderr = tolerate_any_character(stderr or sys.stderr)
        self._results = Console(file=stdout, markup=False, emoji=False, highlight=False)
        self._talk = Console(file=stderr, markup=False, emoji=False, highlight=False)
        self._plain = PlainReporter(stdout, stderr)
        self._marks = _ASCII_MARKS if self._talk.options.ascii_only else _MARKS
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._total_steps = 0
        self._loss: float | None = None
        self._loss_text = Text()
        self._metric_text = Text()

    def header(self, title: str, facts: Mapping[str, str]) -> None:
        """Draw a panel with the facts in two columns."""
        grid = Table.grid(Column(style="dim", no_wrap=True), Column(overflow="fold"), padding=(0, 2))
        for name, value in facts.items():
            grid.add_row(Text(one_line(name)), Text(one_line(value)))
        heading = Text(one_line(title), style="bold")
        self._talk.print(
            Panel(grid, title=heading, title_align="left", border_style="cyan", expand=False, padding=(0, 1))
        )

    def note(self, message: str) -> None:
        """Print the message, above the bar if there is one."""
        self._say(Text(clean(message)))

    def warn(self, message: str) -> None:
        """Print the message after a yellow "Warning:"."""
        self._say(Text.assemble(("Warning: ", "bold yellow"), clean(message)))

    def training_started(self, total_steps: int, first_step: int = 0) -> None:
        """Start the progress bar."""
        self.training_ended()
        self._total_steps = total_steps
        self._loss = None
        self._loss_text, self._metric_text = Text(), Text()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=4)),
            MofNCompleteColumn(),
            _StatusColumn(self),
            TimeElapsedColumn(),
            TextColumn("eta", style="dim", markup=False),
            TimeRemainingColumn(),
            console=self._talk,
            refresh_per_second=_REDRAWS_PER_SECOND,
            speed_estimate_period=_SPEED_WINDOW_SECONDS,
            # Results go to stdout; only what others write to stderr is moved above the bar.
            redirect_stdout=False,
            expand=True,
        )
        self._task = self._progress.add_task("Training", total=total_steps, completed=first_step)
        self._progress.start()

    def progress(self, step: int) -> None:
        """Move the bar; it is redrawn by a timer."""
        if self._progress is not None:
            self._progress.update(self._task, completed=step)

    def logged(self, step: int, values: Mapping[str, float]) -> None:
        """Show the loss in the bar, with an arrow for where it went since the last time."""
        self.progress(step)
        loss = values.get("loss")
        if loss is None:
            return
        if self._loss is None:
            trend = Text()
        elif loss < self._loss:
            trend = Text(" " + self._marks["down"], style="green")
        elif loss > self._loss:
            trend = Text(" " + self._marks["up"], style="yellow")
        else:
            trend = Text(" " + self._marks["same"], style="dim")
        self._loss = loss
        self._loss_text = _named("loss", loss).append_text(trend)

    def evaluated(self, step: int, values: Mapping[str, float], *, split: str, is_best: bool) -> None:
        """Print a line above the bar, with a star on the best so far."""
        line = Text.assemble(("step ", "dim"), f"{step:>{len(str(self._total_steps))}}")
        named = {name: _named(name, value) for name, value in values.items()}
        for text in named.values():
            line.append("  ").append_text(text)
        if is_best:
            line.append(f"  {self._marks['best']} best", style="bold green")
        self._say(line)
        self._metric_text = next((text for name, text in named.items() if name != "loss"), self._metric_text)

    def training_ended(self) -> None:
        """Take the bar down; its last state stays on the screen."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Draw a table; long text folds, numbers do not: columns without room for them stand below."""
        self.training_ended()
        if not self._results.is_terminal:
            self._plain.table(title, columns, rows)
            return
        if title:
            self._results.print(Text(one_line(title), style="bold"))
        for table in tables_for_screen(columns, rows, self._results.width):
            self._results.print(table)
            self._results.print()

    def line(self, text: str) -> None:
        """Write the text as it is, unwrapped."""
        self.training_ended()
        self._plain.line(text)

    def marked(self, pieces: Sequence[tuple[str, bool]]) -> None:
        """Write the text, what is marked underlined and in colour; words are wrapped."""
        self.training_ended()
        if not self._results.is_terminal or self._results.is_dumb_terminal:
            self._plain.marked(pieces)
            return
        text = Text()
        for piece, mark in pieces:
            text.append(clean(piece), style="bold underline green" if mark else "")
        self._results.print(text)

    def next_commands(self, commands: Sequence[str]) -> None:
        """Print the commands so that each can be copied whole."""
        self.training_ended()
        if not self._results.is_terminal:
            self._plain.next_commands(commands)
            return
        if commands:
            self._results.print(Text("Next:", style="bold"))
        for command in commands:
            self._results.print(Text(f"  {clean(command)}", style="cyan"), soft_wrap=True)

    def result(self, payload: Mapping[str, object]) -> None:
        """Print nothing: the same facts came as tables and lines."""

    def failure(self, error: LorettaError) -> None:
        """Take the bar down, then print the error and its hint."""
        self.training_ended()
        self._say(Text.assemble(("Error: ", "bold red"), clean(error.message)))
        if error.hint:
            self._say(Text.assemble(("Hint: ", "bold cyan"), clean(error.hint)))

    def status(self) -> Text:
        """Say what stands beside the bar: the last loss and its trend, the last main metric."""
        room = self._talk.width - _BAR_CELLS - 2 * len(str(self._total_steps))
        if not self._metric_text or self._metric_text.cell_len > room:
            return self._loss_text
        return Text("  ").join(text for text in (self._loss_text, self._metric_text) if text)

    def _say(self, text: Text) -> None:
        """One message to stderr; the terminal wraps it, so that paths stay whole."""
        self._talk.print(text, soft_wrap=True)


class _StatusColumn(ProgressColumn):
    """The part of the bar that follows the last events."""

    def __init__(self, reporter: ConsoleReporter) -> None:
        super().__init__(table_column=Column(no_wrap=True))
        self._reporter = reporter

    def render(self, task: Task) -> Text:
        """Ask the reporter."""
        return self._reporter.status()


def _named(name: str, value: float) -> Text:
    """Write a value after its name, the name dim."""
    return Text.assemble((f"{one_line(name)} ", "dim"), display_number(name, value))
