"""Which columns hold the text and the label, and whether every row has them. Imports errors and rows."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten

from loretta_cli.errors import DataError
from loretta_cli.tasks.sources.rows import Row, column_error

TEXT_NAMES = ("text", "sentence", "content", "message", "utterance", "review", "question", "prompt")
LABEL_NAMES = ("label", "labels", "intent", "class", "category", "target", "sentiment")

LONGEST_SHOWN = 60
"""Letters of a column's name that an error shows."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of labelled text.

    Attributes:
        text: The column to read.
        text_pair: A second text that belongs to the first, or None.
        label: The column to predict.
        detected: Whether text or label was found by its name or type, not given by the user.

    """

    text: str
    text_pair: str | None
    label: str
    detected: bool


def detect_columns(
    rows: Sequence[Row],
    *,
    text: str | None,
    text_pair: str | None,
    label: str | None,
    label_names: Sequence[str] = LABEL_NAMES,
) -> Columns:
    """Take the columns given and find those that are not; a text pair is used only when given.

    The columns are those of the first row. A text column is found by its name, else it is the only
    column of text left; a label column by its name, else it is the only one whose name ends in "label".

    Args:
        rows: The train rows.
        text: The text column, or None to find it.
        text_pair: The second text column, or None for no pair.
        label: The label column, or None to find it.
        label_names: Usual names of the label column.

    Returns:
        The columns.

    Raises:
        DataError: If a given column does not exist, one column is given twice, or none or several
            could be meant.

    """
    if not rows:
        raise DataError("There are no rows to find columns in.")
    check_given(rows[0], [("text", text), ("text_pair", text_pair), ("label", label)])
    label_column = label or find_label(rows[0], {text, text_pair}, label_names)
    text_column = text or find_text(rows, {label_column, text_pair})
    return Columns(text_column, text_pair, label_column, detected=text is None or label is None)


def check_rows(rows: Iterable[Row], columns: Columns) -> None:
    """Check that every row has its text (and text pair) and its label, of a type that can be used.

    A text is a text with more than white space in it; a label is a text, a whole number or a bool.

    Args:
        rows: The rows of one split.
        columns: Where text and label are.

    Raises:
        DataError: For the first fault, with its file, line and column and how many rows share it.

    """
    faults = [(row, fault) for row in rows if (fault := _fault(row, columns)) is not None]
    if not faults:
        return
    row, (role, column, problem) = faults[0]
    alike = sum(fault == (role, column, problem) for _, fault in faults)
    total = "1 row has" if alike == 1 else f"{alike} rows have"
    raise column_error(
        row,
        column,
        f"{problem} ({total} this fault in all).",
        hint=f"Fix or remove these rows, or use another column with data.columns.{role}=NAME.",
    )


def check_given(row: Row, given: Iterable[tuple[str, str | None]]) -> None:
    """Check the columns that the user gave against those of the first row.

    Args:
        row: The first row.
        given: What each is for, as ``data.columns`` calls it, and its name; None where it is not given.

    Raises:
        DataError: If a column does not exist, with the nearest that does, or is given twice.

    """
    roles: dict[str, str] = {}
    for role, column in given:
        if column is None:
            continue
        if column not in row.values:
            near = _nearest(column, row.values)
            question = f"Did you mean {near!r}? " if near else ""
            raise DataError(
                f"{row.file} has no column {column!r}; {_listing(row.values)}.",
                hint=f"{question}Use --set data.columns.{role}={near or 'NAME'}.",
            )
        if column in roles:
            raise DataError(
                f"The column {column!r} is given twice, as data.columns.{roles[column]} and as "
                f"data.columns.{role}.",
                hint=f"Name two different columns; {_listing(row.values)}.",
            )
        roles[column] = role


def find_label(row: Row, taken: Collection[str | None], names: Sequence[str] = LABEL_NAMES) -> str:
    """Find the label column: by its name, else the only one whose name ends in "label".

    Args:
        row: The first row.
        taken: Columns that have another role.
        names: Usual names, the most usual first.

    Raises:
        DataError: If there is none, or several could be meant.

    """
    named = find_named(row, names, taken)
    if named is not None:
        return named
    free = [column for column in row.values if column not in taken]
    return _only([column for column in free if column.lower().endswith("label")], row, "label")


def find_text(rows: Sequence[Row], taken: Collection[str | None]) -> str:
    """Find the text column: by its name, else the only one of text.

    Args:
        rows: The train rows.
        taken: Columns that have another role.

    Raises:
        DataError: If there is none, or several could be meant.

    """
    named = find_named(rows[0], TEXT_NAMES, taken)
    if named is not None:
        return named
    free = [column for column in rows[0].values if column not in taken]
    return _only([column for column in free if isinstance(_first_value(rows, column), str)], rows[0], "text")


def find_named(row: Row, names: Sequence[str], taken: Collection[str | None] = ()) -> str | None:
    """The first of some usual names that is a free column, in any case; None if none is."""
    columns = [column for column in row.values if column not in taken]
    for name in names:
        if name in columns:
            return name
        alike = next((column for column in columns if column.lower() == name), None)
        if alike is not None:
            return alike
    return None


def _first_value(rows: Sequence[Row], column: str) -> object:
    values = (row.values.get(column) for row in rows)
    return next((value for value in values if value is not None), None)


def _only(candidates: Sequence[str], row: Row, role: str) -> str:
    if len(candidates) == 1:
        return candidates[0]
    problem = f"could be {', '.join(candidates)}" if candidates else "cannot be told from the names"
    header = ""
    if not candidates and row.file.lower().endswith((".csv", ".tsv")):
        header = " The first line of the file has to be a header, such as text,label."
    raise DataError(
        f"{row.file}: the {role} column {problem}; {_listing(row.values)}.",
        hint=f"Use --set data.columns.{role}=NAME.{header}",
    )


def _nearest(column: str, known: Iterable[str]) -> str | None:
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(column.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None


def _listing(columns: Iterable[str]) -> str:
    # Of a file without a header, they are the cells of its first row.
    listed = ", ".join(shorten(column, LONGEST_SHOWN, placeholder=" …") for column in columns)
    return f"its columns are {listed}" if listed else "it has no columns"


def _fault(row: Row, columns: Columns) -> tuple[str, str, str] | None:
    """Role, column and problem of the first bad value of a row, or None."""
    for role, column in (("text", columns.text), ("text_pair", columns.text_pair)):
        if column is not None and (problem := _text_problem(row.values.get(column))) is not None:
            return role, column, problem
    problem = _label_problem(row.values.get(columns.label))
    return None if problem is None else ("label", columns.label, problem)


def _text_problem(value: object) -> str | None:
    if _is_missing(value):
        return "the value is missing"
    if not isinstance(value, str):
        return f"expected text, found {_kind(value)}"
    return None if value.strip() else "the text is empty"


def _label_problem(value: object) -> str | None:
    if _is_missing(value):
        return "the value is missing"
    if isinstance(value, str):
        return None if value.strip() else "the label is empty"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return None
    found = "a fraction (scores are for --task regression)" if isinstance(value, float) else _kind(value)
    return f"expected text, a whole number or true/false, found {found}"


def _is_missing(value: object) -> bool:
    # A missing value is NaN in files written by pandas.
    return value is None or (isinstance(value, float) and math.isnan(value))


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true/false"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, list | tuple):
        return "list"
    return "object" if isinstance(value, Mapping) else type(value).__name__
