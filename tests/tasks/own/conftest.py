"""What the tests of tasks on the user's own columns share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from loretta_cli.config import DataSettings, TaskSettings
from loretta_cli.tasks.base import Example, Task
from loretta_cli.tasks.own import make_own
from loretta_cli.tasks.sources import Row
from loretta_cli.tasks.wording import named_columns, reading_more, reworded


@dataclass(frozen=True, slots=True)
class Made:
    """A task, its examples, and what was found out."""

    task: Task
    examples: tuple[Example, ...]
    notes: list[str]


Make = Callable[..., Made]


@pytest.fixture
def make() -> Make:
    """Make a task by name from rows of one file, as the preparation does."""

    def made(
        name: str, values: Sequence[dict[str, Any]], columns: dict[str, Any] | None = None, **task: Any
    ) -> Made:
        labels = task.pop("labels", None)
        rows = [Row(row, "mine.jsonl", number) for number, row in enumerate(values, start=1)]
        asked = TaskSettings.model_validate({"name": name, **task})
        data = DataSettings.model_validate({"columns": columns or {}, "labels": labels})
        found, notes = make_own(asked, data, [rows])
        found = reading_more(reworded(found, asked, [row.values for row in rows]), named_columns(asked))
        return Made(found, found.examples(rows), notes)

    return made
