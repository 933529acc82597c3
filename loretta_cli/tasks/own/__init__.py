"""Tasks on the user's own columns, one file each: named in a recipe, made from the rows that are found."""

from __future__ import annotations

from collections.abc import Sequence

from loretta_cli.config import DataSettings, TaskSettings
from loretta_cli.errors import ConfigError
from loretta_cli.registry import Registry
from loretta_cli.tasks.base import Task
from loretta_cli.tasks.own.asked import Asked, OwnTask, given_settings
from loretta_cli.tasks.sources import Row

OWN: Registry[OwnTask] = Registry(
    "task",
    {
        "classification": "loretta_cli.tasks.own.classification:TASK",
        "generation": "loretta_cli.tasks.own.generation:TASK",
        "language-modeling": "loretta_cli.tasks.own.language_modeling:TASK",
        "multiple-choice": "loretta_cli.tasks.own.multiple_choice:TASK",
        "regression": "loretta_cli.tasks.own.regression:TASK",
    },
)


def make_own(
    task: TaskSettings, data: DataSettings, splits: Sequence[Sequence[Row]]
) -> tuple[Task, list[str]]:
    """Make the task that the settings name from the rows that the user has.

    Args:
        task: The task section of the config, with a name of :data:`OWN`.
        data: The data section.
        splits: Rows of each split; those of the first define the task.

    Returns:
        The task, and what was found out about the rows, one sentence each.

    Raises:
        ConfigError: If a setting is given that the task does not read.
        DataError: If a column is missing, or none or several could be meant.
    """
    own = OWN.get(task.name or "")
    for key in given_settings(task, data):
        if key not in own.reads:
            raise ConfigError(
                f"{key} is set, but the task {task.name} does not read it.",
                hint=f"Remove it. The task reads {', '.join(own.reads)}.",
            )
    return own.make(Asked(task, data, splits))
