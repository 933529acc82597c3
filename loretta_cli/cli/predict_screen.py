"""How answers are shown: one row in full, many a line each."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

from loretta_cli.cli.typed_rows import TypedRows
from loretta_cli.errors import DataError
from loretta_cli.numerals import counted
from loretta_cli.report import Reporter
from loretta_cli.report.formatting import clean, one_line

if TYPE_CHECKING:
    from loretta_cli.evaluation.answers import Answer
    from loretta_cli.evaluation.asked_run import AskedRun
    from loretta_cli.evaluation.predict import Answers, Predictor
    from loretta_cli.evaluation.prediction_rows import Asked
    from loretta_cli.tasks import Example
    from loretta_cli.tasks.sources import Row

WIDEST_NAME = 24
"""Cells of a label's name in a line on a terminal."""


class Screen:
    """Shows answers as they come.

    Args:
        predictor: Gives them.
        asked: What is asked.
        reporter: Shows them.
        is_json: Whether stdout is for programs.
    """

    def __init__(self, predictor: Predictor, asked: AskedRun, reporter: Reporter, *, is_json: bool) -> None:
        self._predictor = predictor
        self._asked = asked
        self._reporter = reporter
        self._is_terminal = sys.stdout.isatty() and not is_json
        self._names = [len(one_line(label)) for label in asked.task.labels]

    def one_by_one(self, rows: Iterable[Asked]) -> None:
        """Answer each row in full; a text appears on a terminal while it is written."""
        answered = shortened = 0
        is_streamed = self._is_terminal and self._asked.writes
        for row, example in rows:
            try:
                found = self._streamed(example) if is_streamed else self._predictor.ask([example])
            except DataError as error:
                if not isinstance(rows, TypedRows):
                    raise
                rows.forget()
                self._reporter.failure(error)
                continue
            (answer,) = found.answers
            if not is_streamed:
                self._in_full(answer)
            if isinstance(rows, TypedRows):
                rows.heard(answer)
            self._hand_over(row, answer)
            answered, shortened = answered + 1, shortened + found.shortened
        note_shortened(shortened, answered, self._reporter)

    def in_batches(self, rows: Iterable[Asked], batch_size: int) -> None:
        """Answer as many rows at once, in their order, a line each."""
        answered = shortened = 0
        left = iter(rows)
        while batch := list(islice(left, batch_size)):
            found = self._predictor.ask([example for _, example in batch], batch_size=batch_size)
            for (row, example), answer in zip(batch, found.answers, strict=True):
                self._reporter.line(self._line(example, answer))
                self._hand_over(row, answer)
            sys.stdout.flush()
            answered, shortened = answered + len(batch), shortened + found.shortened
        note_shortened(shortened, answered, self._reporter)

    def _streamed(self, example: Example) -> Answers:
        def tell(piece: str) -> None:
            sys.stdout.write(clean(piece))
            sys.stdout.flush()

        found = self._predictor.write(example, tell)
        self._reporter.line("")
        return found

    def _hand_over(self, row: Row, answer: Answer) -> None:
        from loretta_cli.evaluation.prediction_files import document

        self._reporter.result(document(row, answer))

    def _in_full(self, answer: Answer) -> None:
        if answer.probabilities:
            head = "label" if answer.option is None else "option"
            rows = [(name, f"{probability:.4f}") for name, probability in answer.ranking]
            self._reporter.table("", (head, "probability"), rows)
        else:
            self._reporter.line(_value(answer))
        sys.stdout.flush()

    def _line(self, example: Example, answer: Answer) -> str:
        """What is said of a row, and of labels, options and scores the row's text behind it.

        Behind tabs for programs; on a terminal in columns that fit it.
        """
        if self._asked.writes:
            return one_line(str(answer.value))
        cells = [one_line(_value(answer))]
        if answer.probability is not None:
            cells.append(f"{answer.probability:.4f}")
        text = one_line(next(iter(example.texts.values()), ""))
        if not self._is_terminal:
            return "\t".join([*cells, text])
        width = min(max(self._names, default=0), WIDEST_NAME)
        line = "  ".join([cells[0].ljust(width), *cells[1:], text])
        room = shutil.get_terminal_size().columns
        return line if len(line) <= room else f"{line[: room - 1]}\N{HORIZONTAL ELLIPSIS}"


def note_shortened(shortened: int, rows: int, reporter: Reporter) -> None:
    """Say how many of some rows were truncated, if any was."""
    if shortened:
        of = f"of {counted(rows, 'row')}"
        was, were = (f"{of} {verb} too long and {verb} truncated" for verb in ("was", "were"))
        reporter.note(counted(shortened, was, were))


def _value(answer: Answer) -> str:
    return answer.value if isinstance(answer.value, str) else f"{answer.value:.4f}"
