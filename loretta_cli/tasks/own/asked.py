"""What the user asked for and what the rows are, from which a task on the user's own columns is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loretta_cli.config import DataSettings, TaskSettings
from loretta_cli.errors import ConfigError
from loretta_cli.registry import suggest
from loretta_cli.tasks.base import Task
from loretta_cli.tasks.sources import Row


@dataclass(frozen=True, slots=True)
class Asked:
    """The settings and the rows.

    Args:
        task: The task section of the config.
        data: The data section.
        splits: Rows of each split; those of the first define the task.
    """

    task: TaskSettings
    data: DataSettings
    splits: Sequence[Sequence[Row]]

    @property
    def rows(self) -> Sequence[Row]:
        """The rows that define the task."""
        return self.splits[0]

    def metrics(self, usual: tuple[str, ...], others: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The metrics asked for, or the usual ones; the main one first.

        Raises:
            ConfigError: If one is unknown, with the nearest, or is given twice.
        """
        asked = tuple(self.task.metrics or usual)
        known = (*usual, *others)
        for name in asked:
            if name not in known:
                raise ConfigError(
                    f"task.metrics: unknown metric {name!r} for the task {self.task.name}.",
                    hint=suggest(name, known, plural="metrics"),
                )
            if asked.count(name) > 1:
                raise ConfigError(f"task.metrics has {name!r} twice.", hint="Remove one of them.")
        return asked


@dataclass(frozen=True, slots=True)
class OwnTask:
    """How a task on the user's own columns is made.

    Args:
        reads: The settings of ``task`` and ``data`` that it reads, of :data:`OWN_SETTINGS`.
        make: From what was asked to the task, and what was found out about the rows, one sentence each.
    """

    reads: tuple[str, ...]
    make: Callable[[Asked], tuple[Task, list[str]]]


OWN_SETTINGS = (
    *(f"data.columns.{role}" for role in ("text", "text_pair", "label", "options")),
    *(f"data.columns.{role}" for role in ("prompt", "completion", "messages")),
    "data.labels",
    *(f"task.{name}" for name in ("prompt", "masked_prompt", "cut", "options", "metrics")),
    *(f"task.{name}" for name in ("stop", "max_new_tokens")),
)
"""The settings that not every task reads."""


def given_settings(task: TaskSettings, data: DataSettings) -> list[str]:
    """Those of :data:`OWN_SETTINGS` that are set."""
    groups: Mapping[str, object] = {"data.columns": data.columns, "data": data, "task": task}
    parts = ((key, key.rpartition(".")) for key in OWN_SETTINGS)
    return [key for key, (group, _, name) in parts if getattr(groups[group], name) is not None]


def columns_note(**columns: str | None) -> str:
    """The note on columns that were found by their names."""
    found = ", ".join(f"{role}={column}" for role, column in columns.items() if column is not None)
    return f"columns found: {found}"
