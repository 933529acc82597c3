"""The sst2 task with prompts and options of a test's own."""

from __future__ import annotations

from dataclasses import replace

from loretta_cli.tasks import TASKS, Example
from loretta_cli.tasks.base import Prompt, Task

SST2 = TASKS.get("sst2")


def task_of(prompt: str, *options: str) -> Task:
    """A task with this prompt, ``{}`` in it being the text; without options, each row has its own."""
    kind = "classification" if options else "choice"
    return replace(
        SST2,
        kind=kind,
        labels=tuple(map(str, range(len(options)))),
        prompt=Prompt(render=lambda row: prompt.format(row["sentence"]), options=options, cut="sentence"),
    )


def review(text: str, label: int = 0, *, options: tuple[str, ...] = ()) -> Example:
    """A row of the task."""
    return Example({"sentence": text}, label, options)
