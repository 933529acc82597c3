"""The rows that a run is asked for: from a file, or a line or a text at a time. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from loretta_cli.errors import ConfigError, DataError
from loretta_cli.evaluation.answers import names_of_answers
from loretta_cli.tasks import Example, Task
from loretta_cli.tasks.sources import Row
from loretta_cli.tasks.sources.files import READERS, read_file
from loretta_cli.tasks.sources.jsonl import parse_object
from loretta_cli.tasks.sources.text import BYTE_ORDER_MARK, read_text, unreadable
from loretta_cli.tasks.unanswered import check_columns

STANDARD_INPUT = "standard input"
Asked = tuple[Row, Example]
"""A row as it was given, and what it is to the task."""


class Questions:
    """Makes rows of what the user gives, each in the columns that the run reads.

    Args:
        task: Of :func:`task_to_ask`.
        columns: What ``--column`` was given: ``NAME``, or ``COLUMN=NAME`` where the run reads several.

    Raises:
        ConfigError: If a name cannot be one of a column that the run reads.
    """

    def __init__(self, task: Task, columns: Sequence[str] = ()) -> None:
        self.task = task
        self._added = names_of_answers(task)
        self._names = dict(self._parsed(given) for given in columns)

    def of_file(self, path: Path) -> list[Asked]:
        """All rows of a file, and what they are to the task; of a .txt file each line is one.

        Raises:
            DataError: Naming file, row and column of the first fault.
            ConfigError: If one text is not enough for a row.
        """
        name = str(path)
        if path.is_dir():
            raise unreadable(name, IsADirectoryError())
        if path.suffix.lower() != ".txt":
            if path.suffix.lower() not in (*READERS, ".json") and not path.exists():
                raise unreadable(name, FileNotFoundError())
            return [self._asked(row) for row in read_file(path, name)]
        column = self._one_column(f"a line of {name}")
        lines = enumerate(read_text(path, name).split("\n"), start=1)
        rows = [Row({column: line.rstrip("\r")}, name, number) for number, line in lines if line.strip()]
        if not rows:
            raise DataError(f"{name} has no text.", hint="Write one text a line.")
        return [self._asked(row, named=False) for row in rows]

    def of_lines(self, lines: Iterable[bytes]) -> Iterator[Asked]:
        """A row for each line that is not blank, as they come.

        Raises:
            DataError: Naming the line.
        """
        for number, line in enumerate(lines, start=1):
            try:
                text = line.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{STANDARD_INPUT}, line {number}: byte 0x{line[error.start]:02x} is not UTF-8.",
                    hint="Convert it: iconv -f latin1 -t utf-8",
                ) from error
            text = text.removeprefix(BYTE_ORDER_MARK) if number == 1 else text
            if text.strip():
                yield self.of_text(text, STANDARD_INPUT, number)

    def of_text(self, text: str, source: str, number: int) -> Asked:
        """The row of a text; a JSON object is a row with its columns.

        Args:
            text: One text, or the columns of a row as a JSON object.
            source: What messages call the place it comes from.
            number: Of the text there, from 1.

        Raises:
            DataError: If it cannot be read, or a column is missing.
            ConfigError: If one text is not enough for a row.
        """
        place = f"{source}, row {number}"
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise DataError(
                f"{place}: the text is not UTF-8.", hint="Give it in a file, as UTF-8."
            ) from error
        values = _object(text, place, strict=len(self.task.columns) > 1)
        if values is not None:
            return self._asked(Row(values, source, number))
        return self.of_values({self._one_column(place): text}, source, number)

    def of_values(self, values: Mapping[str, object], source: str, number: int) -> Asked:
        """The row of cells, by the columns that the run reads.

        Args:
            values: The cells.
            source: What messages call the place they come from.
            number: Of the row there, from 1.

        Raises:
            DataError: If a cell cannot be read.
        """
        return self._asked(Row(values, source, number), named=False)

    def _asked(self, row: Row, *, named: bool = True) -> Asked:
        """A row as it was given, and what it is to the task.

        Args:
            row: The row.
            named: Whether its columns have the names that the user gave them.

        Raises:
            DataError: If a column is missing or has the name of one of the answers, or a cell cannot be read.
        """
        taken = next((name for name in row.values if name in self._added), None)
        if taken is not None:
            raise DataError(
                f"{row.place}: the column {taken!r} has the name of one that predictions get.",
                hint="Rename it, or leave it out.",
            )
        values = dict(row.values)
        for column, name in self._names.items() if named else ():
            if name not in row.values:
                raise DataError(
                    f"{row.place}: there is no column {name!r}; found {', '.join(row.values)}.",
                    hint=f"Give --column {column}=NAME with a column that is there.",
                )
            values[column] = row.values[name]
        as_read = replace(row, values=values)
        check_columns(self.task, as_read)
        return row, self.task.example(as_read)

    def _parsed(self, given: str) -> tuple[str, str]:
        """The column that the run reads, and its name in the file."""
        column, joint, name = given.partition("=")
        if joint and column in self.task.columns and name:
            return column, name
        listed = ", ".join(self.task.columns)
        if len(self.task.columns) > 1:
            raise ConfigError(
                f"--column is {given!r}, and the run reads the columns {listed}.",
                hint=f"Say which: --column {self.task.columns[0]}=NAME; it may be repeated.",
            )
        return self.task.columns[0], given

    def _one_column(self, what: str) -> str:
        """The only column that the run reads."""
        if len(self.task.columns) > 1:
            example = json.dumps(
                dict.fromkeys(self.task.columns, "\N{HORIZONTAL ELLIPSIS}"), ensure_ascii=False
            )
            raise ConfigError(
                f"The run reads the columns {', '.join(self.task.columns)}, and {what} is one text.",
                hint=f"Give each row as JSON, {example}, or --input with a .csv, .tsv, .jsonl or .parquet "
                "file.",
            )
        return self.task.columns[0]


def _object(text: str, place: str, *, strict: bool) -> dict[str, object] | None:
    """The columns that a text holds as a JSON object; None of a text that is none.

    Raises:
        DataError: If it begins as one, is ``strict``, and is no JSON.
    """
    if not text.lstrip().startswith("{"):
        return None
    try:
        return parse_object(text, place)
    except DataError:
        if strict:
            raise
        return None
