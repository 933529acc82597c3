"""Rows that are typed at a terminal, a text at a time; of a chat, the turns of one conversation."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from loretta_cli.errors import ConfigError, DataError
from loretta_cli.report import Reporter

if TYPE_CHECKING:
    from loretta_cli.evaluation.answers import Answer
    from loretta_cli.evaluation.prediction_rows import Asked, Questions

SOURCE = "the terminal"


class TypedRows:
    """Asks for each column of a row; a fault in one is told, and the next is asked for.

    Args:
        questions: Makes rows of what is typed.
        is_chat: Whether each text is the next turn of a conversation; an empty line begins a new one.
        reporter: Tells faults.
        limit: How many rows; all that come if None.
    """

    def __init__(
        self, questions: Questions, *, is_chat: bool, reporter: Reporter, limit: int | None = None
    ) -> None:
        self._questions = questions
        self._columns = questions.task.columns
        self._is_chat = is_chat
        self._reporter = reporter
        self._limit = limit
        self._turns: list[dict[str, str]] = []

    def heard(self, answer: Answer) -> None:
        """Add what was answered to the conversation."""
        self._turns.append({"role": "assistant", "content": str(answer.value)})

    def forget(self) -> None:
        """Begin a new conversation."""
        self._turns.clear()

    def __iter__(self) -> Iterator[Asked]:
        """Rows, until the end of the input."""
        new = "; an empty line begins a new conversation" if self._is_chat else ""
        self._reporter.note(f"Type a text and press Enter{new}. Ctrl+D ends.")
        number = 0
        while number != self._limit and (texts := self._texts()) is not None:
            if not texts:
                self.forget()
                continue
            number += 1
            try:
                yield self._row(texts, number)
            except (DataError, ConfigError) as error:
                self.forget()
                self._reporter.failure(error)
        print(file=sys.stderr)

    def _texts(self) -> list[str] | None:
        """The text of each column, or one row as JSON; none of them where nothing was typed.

        None at the end of the input.
        """
        texts: list[str] = []
        for column in self._columns:
            text = _line("> " if len(self._columns) == 1 else f"{column}> ")
            if text is None:
                return None
            if not text.strip():
                return []
            texts.append(text)
            if text.lstrip().startswith("{"):
                break
        return texts

    def _row(self, texts: Sequence[str], number: int) -> Asked:
        if self._is_chat:
            self._turns.append({"role": "user", "content": texts[0]})
            return self._questions.of_values({self._columns[0]: list(self._turns)}, SOURCE, number)
        if texts[0].lstrip().startswith("{"):
            return self._questions.of_text(texts[0], SOURCE, number)
        return self._questions.of_values(dict(zip(self._columns, texts, strict=False)), SOURCE, number)


def _line(prompt: str) -> str | None:
    """A line of the terminal, or None at its end. The prompt goes to stderr: stdout is for answers."""
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.buffer.readline()
    return line.decode("utf-8", errors="replace").rstrip("\r\n") if line else None
