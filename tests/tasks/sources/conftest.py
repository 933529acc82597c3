"""Fixtures shared by the tests of data sources."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from loretta_cli.tasks.sources import Row

Write = Callable[[str, "str | bytes"], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file below the test's own folder and return its path; text is written as it is."""

    def write_file(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


@pytest.fixture
def jsonl() -> Callable[[int], str]:
    """Make the text of a .jsonl file with so many rows."""

    def text(count: int) -> str:
        return "".join(json.dumps({"text": f"row {i}", "label": i % 2}) + "\n" for i in range(count))

    return text


@pytest.fixture
def rows() -> Callable[..., tuple[Row, ...]]:
    """Make rows of train.jsonl from dictionaries."""

    def make(*values: dict[str, object]) -> tuple[Row, ...]:
        return tuple(Row(value, "train.jsonl", number) for number, value in enumerate(values, start=1))

    return make
