"""A run that is to be asked, as far as it is known without its model. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loretta_cli.artifacts.adapter_choice import find_adapter
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.config import Config
from loretta_cli.errors import ConfigError
from loretta_cli.tasks import Task
from loretta_cli.tasks.unanswered import task_to_ask


@dataclass(frozen=True, slots=True)
class AskedRun:
    """A run, and what it is asked.

    Args:
        run: The run.
        config: Its settings; of a run of several tasks, those of the chosen one.
        task: The task, whose rows need no answer.
        adapter: A checkpoint in place of the finished adapter.
        stage: Of a run of several tasks, the run of the chosen one.
    """

    run: RunFolder
    config: Config
    task: Task
    adapter: Path | None = None
    stage: RunFolder | None = None

    @property
    def writes(self) -> bool:
        """Whether it answers in its own words."""
        return self.config.task.form == "generation"

    @property
    def is_chat(self) -> bool:
        """Whether its rows are the messages of a chat."""
        return self.writes and self.task.generation is not None and self.task.generation.is_chat


def find_asked(
    path: Path,
    *,
    checkpoint: str | None = None,
    task: str | None = None,
    base: str | None = None,
    max_new_tokens: int | None = None,
) -> AskedRun:
    """Find a run and what it is asked.

    Args:
        path: The run folder.
        checkpoint: As of :func:`find_adapter`.
        task: Of a run of several tasks, which one.
        base: Where the base model is, if no longer where it was trained.
        max_new_tokens: Longest text that is written; the run's own if None.

    Raises:
        RunError: If it is no run, or has no such adapter.
        ConfigError: If the run has no such task, or writes no texts and should write longer ones.
    """
    run, adapter = find_adapter(path, checkpoint, base=base)
    config, stage = run.read_config(), _stage(run, task)
    if stage is not None:
        config = stage.read_config()
    elif task is not None and task != config.task.name:
        raise ConfigError(
            f"The run {path} is of the task {config.task.name}, not of {task}.", hint="Leave --task out."
        )
    asked = task_to_ask(config.task, config.data, max_new_tokens=max_new_tokens)
    return AskedRun(run, config, asked, adapter, stage)


def _stage(run: RunFolder, task: str | None) -> RunFolder | None:
    """Of a run of several tasks, the run of one; None of a run of one task.

    Raises:
        ConfigError: If none, or an unknown one, is chosen.
    """
    names = run.read_config().task.names
    if not names:
        return None
    if task not in names:
        found = "which one is asked is not said" if task is None else f"not of {task}"
        raise ConfigError(
            f"The run {run.path} is of the tasks {', '.join(names)}, {found}.",
            hint=f"Add --task {names[-1]}.",
        )
    return run.stages[names.index(task)]
