"""The reporter for a person at a terminal: a panel, a live table, evaluation lines above it, tables.

Only this, :mod:`report.live_table` and :mod:`report.screen_tables` draw with rich. Width, colours and
``NO_COLOR`` are rich's own business: nothing is forced here. Every text is handed over as
:class:`rich.text.Text`, so brackets in it are never markup.
"""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from loretta_cli.credentials import without_credentials
from loretta_cli.report.formatting import (
    clean,
    display_number,
    one_line,
    tolerate_any_character,
)
from loretta_cli.report.live_table import ASCII_MARKS, MARKS, LiveTable
from loretta_cli.report.plain import PlainReporter
from loretta_cli.report.screen_tables import tables_for_screen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loretta_cli.errors import LorettaError
    from loretta_cli.report.pace import Pace

# Redrawing more often costs a small model on a CPU more than anyone sees.
_REDRAWS_PER_SECOND = 4
WARNING = "Warning:"


class ConsoleReporter:
    """Colours, a panel and a live table on stderr; tables on stdout.

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
        self._is_ascii = self._talk.options.ascii_only
        self._live: Live | None = None
        self._training = LiveTable(0)

    def header(self, title: str, facts: Mapping[str, str]) -> None:
        """Draw a panel with the facts in two columns."""
        grid = Table.grid(Column(style="dim", no_wrap=True), Column(overflow="fold"), padding=(0, 2))
        for name, value in facts.items():
            grid.add_row(Text(one_line(name)), Text(without_credentials(one_line(value))))
        heading = Text(one_line(title), style="bold")
        self._talk.print(
            Panel(grid, title=heading, title_align="left", border_style="cyan", expand=False, padding=(0, 1))
        )

    def note(self, message: str) -> None:
        """Print the message, above the live table if there is one."""
        self._say(Text(self._wrapped(without_credentials(clean(message)))))

    def warn(self, message: str) -> None:
        """Print the message after a yellow "Warning:"."""
        text = Text(self._wrapped(f"{WARNING} {without_credentials(clean(message))}"))
        text.stylize("bold yellow", 0, len(WARNING))
        self._say(text)

    def training_started(
        self, total_steps: int, first_step: int = 0, best: tuple[int, str, float] | None = None
    ) -> None:
        """Start the live table."""
        self.training_ended()
        self._training = LiveTable(total_steps, first_step, ascii_only=self._is_ascii)
        if best is not None:
            self._training.begun(*best)
        self._live = Live(
            self._training,
            console=self._talk,
            refresh_per_second=_REDRAWS_PER_SECOND,
            # Results go to stdout; only what others write to stderr is moved above the table.
            redirect_stdout=False,
        )
        self._live.start()

    def progress(self, step: int) -> None:
        """Move the bar; it is redrawn by a timer."""
        self._training.remaining.progress(step)

    def logged(self, step: int, values: Mapping[str, float], pace: Pace | None = None) -> None:
        """Show the values in the live table, the loss with its course."""
        self.progress(step)
        self._training.logged(values, pace)

    def evaluated(self, step: int, values: Mapping[str, float], *, split: str, is_best: bool) -> None:
        """Print a line above the live table, with a star on the best so far."""
        first = Text.assemble(("step ", "dim"), f"{step:>{len(str(self._training.remaining.total_steps))}}")
        words = [first, *(_named(name, value) for name, value in values.items())]
        best = []
        if is_best:
            star = (ASCII_MARKS if self._is_ascii else MARKS)["best"]
            best = [Text(f"{star} best", style="bold green")]
        # On a narrow terminal the main metric, which comes first, is left.
        while len(words) > 2 and cell_len("  ".join(map(str, [*words, *best]))) > self._talk.width:
            words.pop()
        self._say(Text("  ").join([*words, *best]))
        self._training.evaluated(step, values, split=split, is_best=is_best)

    def training_ended(self) -> None:
        """Take the live table down; its last state stays on the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None

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
        """Take the live table down, then print the error and its hint."""
        self.training_ended()
        self._say(Text.assemble(("Error: ", "bold red"), without_credentials(clean(error.message))))
        if error.hint:
            self._say(Text.assemble(("Hint: ", "bold cyan"), without_credentials(clean(error.hint))))

    def _wrapped(self, message: str) -> str:
        """The message with line ends between words; a path that is longer than a line stays whole."""
        width = self._talk.width
        return "\n".join(
            textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
            for line in message.split("\n")
        )

    def _say(self, text: Text) -> None:
        """One message to stderr; the terminal wraps it, so that commands stay whole."""
        self._talk.print(text, soft_wrap=True)


def _named(name: str, value: float) -> Text:
    """Write a value after its name, the name dim."""
    return Text.assemble((f"{one_line(name)} ", "dim"), display_number(name, value))
