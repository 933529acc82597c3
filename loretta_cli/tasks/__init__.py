"""Tasks, one file each: columns, labels, prompt, metrics. A new task is one file and one line here.

May import :mod:`registry` and :mod:`errors`; no torch, except :mod:`tasks.encoding` for its tensors.
"""

from __future__ import annotations

from loretta_cli.registry import Registry
from loretta_cli.tasks.base import Example, Prompt, Task
from loretta_cli.tasks.classification import NAME as CUSTOM

TASKS: Registry[Task] = Registry(
    "task",
    {
        "boolq": "loretta_cli.tasks.boolq:TASK",
        "rte": "loretta_cli.tasks.rte:TASK",
        "sst2": "loretta_cli.tasks.sst2:TASK",
    },
)

__all__ = ["CUSTOM", "TASKS", "Example", "Prompt", "Task", "check_task"]


def check_task(name: str) -> None:
    """Refuse an unknown task name.

    Raises:
        ConfigError: With the nearest name and all names.
    """
    if name != CUSTOM:
        Registry("task", dict.fromkeys((CUSTOM, *TASKS), "")).check(name)
