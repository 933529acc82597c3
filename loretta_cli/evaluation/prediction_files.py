"""Predictions as a file, .csv or .jsonl: the columns of each row, then what the run says of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loretta_cli.artifacts.files import check_writable, explained, write_text
from loretta_cli.errors import OutputError
from loretta_cli.evaluation.answers import Answer
from loretta_cli.tasks.sources import Row

SUFFIXES = (".csv", ".jsonl")


def check_file(path: Path, *, overwrite: bool, source: Path | None) -> None:
    """Refuse a file that cannot be written, before any work is done.

    Args:
        path: The file.
        overwrite: Whether it may be there already.
        source: The file that is read.

    Raises:
        OutputError: If it is of another kind, is there, is the one that is read, or its folder is not there.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(
            f"--output writes .csv or .jsonl; found {path.name!r}.", hint=f"Name it {path.stem}.csv."
        )
    if path.is_dir():
        raise OutputError(f"The output {path} is a folder; expected a file.", hint="Choose another --output.")
    if not path.parent.is_dir():
        raise OutputError(f"There is no folder {path.parent} for {path.name}.", hint="Make it first.")
    with explained(path):
        if source is not None and path.exists() and source.exists() and path.samefile(source):
            raise OutputError(
                f"--output is the file that is read, {source}.", hint="Choose another --output."
            )
        if path.exists() and not overwrite:
            raise OutputError(
                f"The output {path} exists.",
                hint="Add --overwrite to replace it, or choose another --output.",
            )
        check_writable(path.parent)


def write_answers(path: Path, rows: Sequence[Row], answers: Sequence[Answer]) -> None:
    """Write the rows with their answers under a temporary name, then rename the file.

    Args:
        path: A file that :func:`check_file` has let pass.
        rows: The rows.
        answers: One for each.

    Raises:
        OutputError: If it cannot be written.
    """
    pairs = list(zip(rows, answers, strict=True))
    if path.suffix.lower() == ".csv":
        write_text(path, _table([{**row.values, **answer.as_cells()} for row, answer in pairs]))
    else:
        lines = (json.dumps(document(row, answer), ensure_ascii=False) for row, answer in pairs)
        write_text(path, "".join(f"{line}\n" for line in lines))


def document(row: Row, answer: Answer) -> dict[str, Any]:
    """The columns of a row and what is said of it, as JSON has them: no NaN, and dates as texts."""
    text = json.dumps({**row.values, **answer.as_json()}, default=str)
    found: dict[str, Any] = json.loads(text, parse_constant=lambda _: None)
    return found


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    columns = list(dict.fromkeys(column for row in rows for column in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    """A value of one cell: lists and objects as JSON."""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (list, dict)) else value
