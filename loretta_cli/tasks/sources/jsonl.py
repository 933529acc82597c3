"""Reads .jsonl: one JSON object a line, UTF-8. Imports errors, rows and text only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NoReturn

from loretta_cli.errors import DataError
from loretta_cli.tasks.sources.rows import Row
from loretta_cli.tasks.sources.text import read_text

if TYPE_CHECKING:
    from pathlib import Path

ONE_OBJECT = 'Each line holds one whole object, such as {"text": "good", "label": "positive"}.'
_KINDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}


def read_jsonl(path: Path, name: str) -> tuple[Row, ...]:
    """Read a .jsonl file; blank lines are skipped, and rows may have different columns.

    Args:
        path: Where the file is.
        name: What the user calls it.

    Returns:
        At least one row, each numbered by its line.

    Raises:
        DataError: If the file cannot be read, a line is not one JSON object, a key stands twice in an
            object, or there is no row.

    """
    # Not str.splitlines: it also breaks at characters that may stand inside a JSON text, such as U+2028.
    lines = read_text(path, name).split("\n")
    rows = tuple(
        Row(parse_object(line, f"{name}, line {number}"), name, number)
        for number, line in enumerate(lines, start=1)
        if line.strip()
    )
    if not rows:
        raise DataError(f"{name} has no rows.", hint=ONE_OBJECT)
    return rows


def parse_object(line: str, place: str) -> dict[str, object]:
    """The JSON object of a line.

    Args:
        line: The line.
        place: What messages call it.

    Returns:
        Key to value.

    Raises:
        DataError: If it is not one JSON object, or a key stands twice in it.

    """
    try:
        value = json.loads(line, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
        _refuse_broken_characters(line, value)
    except json.JSONDecodeError as error:
        problem = f"{error.msg} at character {error.colno}"
        raise DataError(f"{place}: this is not valid JSON ({problem}).", hint=ONE_OBJECT) from error
    except RecursionError as error:
        raise DataError(f"{place}: the JSON is nested too deeply to be read.", hint=ONE_OBJECT) from error
    except ValueError as error:
        raise DataError(f"{place}: {error}.") from error
    if not isinstance(value, dict):
        found = _KINDS.get(type(value), "a number")
        raise DataError(f"{place}: expected a JSON object, found {found}.", hint=ONE_OBJECT)
    return value


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f"the key {key!r} stands twice in one object")
        values[key] = value
    return values


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not valid JSON; write null for a missing value")


def _refuse_broken_characters(line: str, value: object) -> None:
    # Half of a surrogate pair passes the parser and then stops the tokenizer, far from this line.
    if "\\ud" not in line.lower():
        return
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise ValueError(f"the escape {half} is half a character; its other half is missing") from error
