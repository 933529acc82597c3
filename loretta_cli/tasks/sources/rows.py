"""Rows, splits, and the seeded choices made among rows. Imports numpy and errors only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from loretta_cli.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Files in which a row's number is a line that an editor can jump to; elsewhere it counts rows.
LINE_FORMATS = (".jsonl", ".csv", ".tsv", ".txt")


@dataclass(frozen=True, slots=True)
class Row:
    """One example as it was read.

    Attributes:
        values: Column to value. Values keep the type of the file: those of .csv and .tsv are all text.
        file: The file's name as the user gave it; for a hub data set its id and split.
        number: The line in a .jsonl, .csv, .tsv or .txt file (a header is line 1), else the row; from 1.

    """

    values: Mapping[str, object]
    file: str
    number: int

    @property
    def place(self) -> str:
        """File and line as error messages say it: ``"train.jsonl, line 12"``."""
        unit = "line" if self.file.lower().endswith(LINE_FORMATS) else "row"
        return f"{self.file}, {unit} {self.number}"


@dataclass(frozen=True, slots=True)
class Splits:
    """The rows to train on, to validate on, and to test on.

    Attributes:
        train: At least one row.
        validation: At least one row.
        test: May be empty.
        description: How many rows came from where, for the notes of a run.
        validation_mismatched: Of MNLI: texts of other kinds than those to train on. May be empty.

    """

    train: tuple[Row, ...]
    validation: tuple[Row, ...]
    test: tuple[Row, ...]
    description: str
    validation_mismatched: tuple[Row, ...] = ()


def column_error(row: Row, column: str, problem: str, *, hint: str = "") -> DataError:
    """Make the error for a bad value: it names file, line and column, then ``problem`` word for word.

    Args:
        row: The row with the fault.
        column: The column with the fault.
        problem: What was found and what was expected.
        hint: How to fix it.

    Returns:
        The error, for the caller to raise.

    """
    return DataError(f"{row.place}, column {column!r}: {problem}", hint=hint)


def hold_out(
    rows: Sequence[Row], validation_fraction: float, seed: int
) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Split rows at random into a train and a validation share, at least one row each.

    Args:
        rows: The rows of one file or split.
        validation_fraction: The share to hold out, more than 0 and less than 1.
        seed: Keys the generator that chooses the rows.

    Returns:
        Train and validation rows, each in the order of the file.

    Raises:
        DataError: If there are fewer than two rows, or the share is not between 0 and 1.

    """
    if not 0 < validation_fraction < 1:
        raise DataError(
            f"The share to hold out for validation is {validation_fraction}; it must lie between 0 and 1.",
            hint="Use 0.1 to hold out one row in ten.",
        )
    if len(rows) < 2:
        found = f"{rows[0].file} has 1 row" if rows else "The data have no rows"
        raise DataError(f"{found}; to hold some out for validation, at least 2 are needed.")
    held_count = min(max(round(len(rows) * validation_fraction), 1), len(rows) - 1)
    held = set(permutation(len(rows), seed)[:held_count])
    train = tuple(row for index, row in enumerate(rows) if index not in held)
    validation = tuple(row for index, row in enumerate(rows) if index in held)
    return train, validation


def permutation(length: int, seed: int) -> list[int]:
    """The numbers below ``length`` in the order that a seed gives, the same on every machine."""
    # Philox takes no negative key; a mask keeps any whole number usable as a seed.
    generator = np.random.Generator(np.random.Philox(key=seed & (2**64 - 1)))
    return [int(index) for index in generator.permutation(length)]
