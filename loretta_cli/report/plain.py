"""The reporter for pipes, log files and CI: plain lines, no control characters, no redrawing.

Each logged or evaluated event is one ``key=value`` line whose keys are stable. Imports :mod:`credentials`,
:mod:`numerals`, :mod:`report.formatting` and :mod:`report.pace`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from loretta_cli.credentials import without_credentials
from loretta_cli.numerals import counted, memory_in_words
from loretta_cli.report.formatting import (
    align_table,
    brackets,
    clean,
    clock_time,
    compact_number,
    one_line,
    tolerate_any_character,
)
from loretta_cli.report.pace import Pace, Remaining

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loretta_cli.errors import LorettaError


class PlainReporter:
    """Lines that a person can read and ``grep`` can find.

    Args:
        stdout: Where results go; the process's own stdout if None.
        stderr: Where everything else goes; the process's own stderr if None.
    """

    def __init__(self, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self._stdout = tolerate_any_character(stdout or sys.stdout)
        self._stderr = tolerate_any_character(stderr or sys.stderr)
        self._remaining: Remaining | None = None
        self._step = 0

    def header(self, title: str, facts: Mapping[str, str]) -> None:
        """Write the title, then one indented line a fact."""
        self._say(one_line(title))
        width = max(map(len, facts), default=0)
        for name, value in facts.items():
            self._say(f"  {name:<{width}}  {one_line(value)}")

    def note(self, message: str) -> None:
        """Write the message."""
        self._say(message)

    def warn(self, message: str) -> None:
        """Write the message after "warning:"."""
        self._say(f"warning: {message}")

    def training_started(
        self, total_steps: int, first_step: int = 0, best: tuple[int, str, float] | None = None
    ) -> None:
        """Write how many steps there are."""
        self._remaining = Remaining(total_steps, first_step)
        self._step = first_step
        resumed = f", going on after step {first_step}" if first_step else ""
        so_far = f"; best so far: {best[1]}={compact_number(best[2])} after step {best[0]}" if best else ""
        self._say(f"training: {counted(total_steps, 'step')}{resumed}{so_far}")

    def progress(self, step: int) -> None:
        """Write nothing: a log file wants a line an interval, not a line a step."""
        self._step = step
        if self._remaining is not None:
            self._remaining.progress(step)

    def logged(self, step: int, values: Mapping[str, float], pace: Pace | None = None) -> None:
        """Write ``step=10 loss=0.6931 learning_rate=0.001 of=200 tokens_per_second=5120 eta=0:01:12``."""
        self.progress(step)
        self._say(" ".join([f"step={step}", *_pairs(values), *self._how_fast(pace)]))

    def evaluated(self, step: int, values: Mapping[str, float], *, split: str, is_best: bool) -> None:
        """Write ``step=32 split=validation accuracy=0.81 loss=0.41 best=true``."""
        best = f"best={'true' if is_best else 'false'}"
        self._say(" ".join([f"step={step}", f"split={split}", *_pairs(values), best]))

    def training_ended(self) -> None:
        """Write the last step and the time taken, once."""
        if self._remaining is None:
            return
        seconds = self._remaining.elapsed
        self._remaining = None
        self._say(f"training ended: step={self._step} seconds={seconds:.1f}")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write an aligned table."""
        lines = align_table(columns, rows)
        self._tell("\n".join([one_line(title), *lines] if title else lines))

    def line(self, text: str) -> None:
        """Write the text."""
        self._tell(text)

    def marked(self, pieces: Sequence[tuple[str, bool]]) -> None:
        """Write the text with brackets around what is marked."""
        opened, closed = brackets(self._stdout)
        self._tell("".join(f"{opened}{text}{closed}" if mark else text for text, mark in pieces))

    def next_commands(self, commands: Sequence[str]) -> None:
        """Write the commands, indented, after "Next:"."""
        if commands:
            self._tell("\n".join(["Next:", *(f"  {command}" for command in commands)]))

    def result(self, payload: Mapping[str, object]) -> None:
        """Write nothing: the same facts came as tables and lines."""

    def failure(self, error: LorettaError) -> None:
        """Write the error, then its hint."""
        self.training_ended()
        self._say(f"error: {error.message}")
        if error.hint:
            self._say(f"hint: {error.hint}")

    def _how_fast(self, pace: Pace | None) -> list[str]:
        """``name=value`` for how far the training is, how fast it goes and what it takes."""
        found: dict[str, str] = {}
        if self._remaining is not None:
            found["of"] = str(self._remaining.total_steps)
        if pace is not None:
            for name in ("tokens_per_second", "rows_per_second", "forward_passes_per_second", "queries"):
                if (value := getattr(pace, name)) is not None:
                    found[name] = compact_number(value)
        if self._remaining is not None and (seconds := self._remaining.seconds()) is not None:
            found["eta"] = clock_time(seconds)
        if pace is not None and pace.memory_bytes is not None:
            found["memory"] = memory_in_words(pace.memory_bytes).replace(" ", "")
        return [f"{name}={value}" for name, value in found.items()]

    def _say(self, text: str) -> None:
        """One message to stderr, without passwords and tokens."""
        self._stderr.write(without_credentials(clean(text)) + "\n")
        self._stderr.flush()

    def _tell(self, text: str) -> None:
        """One result to stdout."""
        self._stdout.write(clean(text) + "\n")


def _pairs(values: Mapping[str, float]) -> list[str]:
    """``name=value`` for each value, in the order given."""
    return [f"{name}={compact_number(value)}" for name, value in values.items()]
