"""Reading the cells of one row by the task's own column names, with errors that name file, line and column.

Imports :mod:`tasks.sources` and :mod:`errors` only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loretta_cli.errors import DataError
from loretta_cli.tasks.sources import Row, column_error


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a row.

    Args:
        row: The row.
        task: The task's name, for messages.
        columns: The task's columns, for messages.
        other_names: Column names of other published versions, mapped to the task's own.
        is_own: Whether the task is one on the user's own columns.
    """

    row: Row
    task: str
    columns: Sequence[str]
    other_names: Mapping[str, str]
    is_own: bool = False

    def value(self, column: str) -> object:
        """What stands in a column.

        Raises:
            DataError: If the column is missing.
        """
        name = self._name(column)
        if name not in self.row.values:
            raise self.error(
                column,
                f"the column is missing; found {', '.join(self.row.values)}.",
                hint=f"The task {self.task} reads the columns {', '.join(self.columns)}."
                + ("" if self.is_own else " For data of your own use --task classification."),
            )
        return self.row.values[name]

    def text(self, column: str) -> str:
        """A text; in data of the user's own, one with more than white space in it.

        What is published counts as it is (two rows of QQP have an empty question).

        Raises:
            DataError: If it is none.
        """
        value = self.value(column)
        if value is None:
            raise self.error(column, "the text is null.", hint="Remove the row, or fill in the text.")
        if not isinstance(value, str):
            raise self.error(column, f"expected a text, found {value!r}.")
        if self.is_own and not value.strip():
            raise self.error(column, "the text is empty.", hint="Remove the row, or fill in the text.")
        return value

    def written(self, column: str) -> str:
        """A text that may be empty, or a number as it is written.

        Raises:
            DataError: If it is neither.
        """
        value = self.value(column)
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            found = "null" if value is None else repr(value)
            raise self.error(
                column, f"expected a text or a number, found {found}.", hint='Write "" for nothing.'
            )
        return str(value)

    def texts(self, *columns: str) -> dict[str, str]:
        """The texts of some columns."""
        return {column: self.text(column) for column in columns}

    def text_list(self, column: str, name: str | None = None) -> tuple[str, ...]:
        """The texts of a list, which may be empty.

        Args:
            column: Where it stands.
            name: Where the cell is an object: the list's name in it.

        Raises:
            DataError: If it is none, or has an empty text in it.
        """
        value = self.value(column)
        if name is not None:
            value = value.get(name) if isinstance(value, Mapping) else None
        texts = value if isinstance(value, (list, tuple)) else [None]
        if not all(isinstance(text, str) and text.strip() for text in texts):
            what = "a list of texts" if name is None else f"an object with a list of texts in {name!r}"
            raise self.error(column, f"expected {what}, found {self.value(column)!r}.")
        return tuple(texts)

    def label(self, column: str, labels: Sequence[str], *, by_name: bool = False) -> int:
        """The number of a label: the cell holds the number, or the name.

        Args:
            column: Where it stands.
            labels: All names.
            by_name: Whether a cell holds a name only (data of the user's own, where the label ``1`` need not
                be the second one).

        Raises:
            DataError: If it is not one of the labels.
        """
        value = self.value(column)
        name = label_name(value)
        if name in labels:
            return list(labels).index(name)
        if by_name:
            raise self.error(
                column,
                f"found the label {name!r}, expected one of {', '.join(labels)}.",
                hint="Give all labels in data.labels, or remove the row.",
            )
        number = _whole_number(value)
        if number is None or not 0 <= number < len(labels):
            known = ", ".join(f"{index} ({name})" for index, name in enumerate(labels))
            raise self.error(column, f"found the label {value!r}, expected one of {known}.")
        return number

    def score(self, column: str, *, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number within limits; a text of a number counts (CSV).

        Raises:
            DataError: If it is none.
        """
        value = self.value(column)
        try:
            number = float(value) if isinstance(value, (int, float, str)) else math.nan
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and low <= number <= high):
            limits = f" from {low:g} to {high:g}" if math.isfinite(low) else ""
            raise self.error(column, f"found the score {value!r}, expected a number{limits}.")
        return number

    def error(self, column: str, problem: str, *, hint: str = "") -> DataError:
        """The error for a bad cell, for the caller to raise."""
        return column_error(self.row, self._name(column), problem, hint=hint)

    def _name(self, column: str) -> str:
        """The name that a column of the task has in this row."""
        if column not in self.row.values:
            for name, own in self.other_names.items():
                if own == column and name in self.row.values:
                    return name
        return column


def label_name(value: object) -> str:
    """A label cell as a name: ``1``, ``1.0`` and ``"1"`` are the same label."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _whole_number(value: object) -> int | None:
    """The label number in a cell, or None: ints, bools, integral floats, and texts of digits (CSV)."""
    if isinstance(value, (bool, int)):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return None
