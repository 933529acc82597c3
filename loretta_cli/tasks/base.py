"""What a task is: its columns, labels, prompt and metrics, as data. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from loretta_cli.errors import DataError
from loretta_cli.tasks.sources import Row, column_error


@dataclass(frozen=True, slots=True)
class Prompt:
    """How a row becomes a text that a language model completes with one of some options.

    Args:
        render: From the row's columns to the prompt; the options follow it directly.
        options: The text of each label, in label order, with its leading space or without.
        cut: The column that is shortened where a prompt does not fit the model's context.
    """

    render: Callable[[Mapping[str, str]], str]
    options: tuple[str, ...]
    cut: str


@dataclass(frozen=True, slots=True)
class Task:
    """A classification task.

    Args:
        name: As on the command line.
        version: Changes when prompts, columns or metrics do; results of two versions do not compare.
        text: Column with the (first) text.
        label: Column with the label: its number, or its name.
        labels: Label names; the number of a label is its place here.
        prompt: The prompt form.
        metrics: Names of the metrics, the main one first.
        text_pair: Column with the second text, if the classification form reads two.
        hub_id: The task's data on the hub, used when no ``--data`` is given.
        other_names: Column names of other published versions, mapped to those above.
        labels_by_name: Whether a cell holds a label's name only (data of the user's own, where the label
            ``1`` need not be the second one).
    """

    name: str
    version: int
    text: str
    label: str
    labels: tuple[str, ...]
    prompt: Prompt
    metrics: tuple[str, ...]
    text_pair: str | None = None
    hub_id: str | None = None
    other_names: Mapping[str, str] | None = None
    labels_by_name: bool = False

    @property
    def main_metric(self) -> str:
        """The metric by which the best checkpoint is chosen."""
        return self.metrics[0]

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns with text."""
        return (self.text,) if self.text_pair is None else (self.text, self.text_pair)

    def example(self, row: Row) -> Example:
        """Read and check one row.

        Raises:
            DataError: Naming file, line and column, if a column is missing, a text is not text or
                empty, or a label is not one of the task's.
        """
        texts = {column: _text(row, self.column_in(row, column), self) for column in self.text_columns}
        return Example(texts, _label(row, self.column_in(row, self.label), self))

    def column_in(self, row: Row, column: str) -> str:
        """The name of one of the task's columns in a row: its own, else the one of :attr:`other_names`."""
        if column not in row.values:
            for name, own in (self.other_names or {}).items():
                if own == column and name in row.values:
                    return name
        return column


@dataclass(frozen=True, slots=True)
class Example:
    """A checked row: its text columns and the number of its label."""

    texts: Mapping[str, str]
    label: int


def _text(row: Row, column: str, task: Task) -> str:
    if column not in row.values:
        raise _missing(row, column, task)
    value = row.values[column]
    if value is None:
        raise column_error(row, column, "the text is null.", hint="Remove the row, or fill in the text.")
    if not isinstance(value, str):
        raise column_error(row, column, f"expected a text, found {value!r}.")
    if not value.strip():
        raise column_error(row, column, "the text is empty.", hint="Remove the row, or fill in the text.")
    return value


def _label(row: Row, column: str, task: Task) -> int:
    if column not in row.values:
        raise _missing(row, column, task)
    value = row.values[column]
    name = label_name(value)
    if name in task.labels:
        return task.labels.index(name)
    if task.labels_by_name:
        raise column_error(
            row,
            column,
            f"found the label {name!r}, expected one of {', '.join(task.labels)}.",
            hint="Give all labels in data.labels, or remove the row.",
        )
    number = _number(value)
    if number is None or not 0 <= number < len(task.labels):
        known = ", ".join(f"{index} ({name})" for index, name in enumerate(task.labels))
        raise column_error(row, column, f"found the label {value!r}, expected one of {known}.")
    return number


def label_name(value: object) -> str:
    """A label cell as a name: ``1``, ``1.0`` and ``"1"`` are the same label."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _number(value: object) -> int | None:
    """The label number in a cell, or None: ints, bools, integral floats, and texts of digits (CSV)."""
    if isinstance(value, (bool, int)):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return None


def _missing(row: Row, column: str, task: Task) -> DataError:
    expected = ", ".join((*task.text_columns, task.label))
    return column_error(
        row,
        column,
        f"the column is missing; found {', '.join(row.values)}.",
        hint=f"The task {task.name} reads the columns {expected}. For data of your own use "
        "--task classification.",
    )
