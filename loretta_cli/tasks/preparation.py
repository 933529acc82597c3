"""From a task name and a data source to checked examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loretta_cli.config import DataSettings, TaskSettings
from loretta_cli.errors import ConfigError, DataError
from loretta_cli.tasks import OWN, TASKS, check_task
from loretta_cli.tasks.base import Example, Task
from loretta_cli.tasks.own import make_own
from loretta_cli.tasks.own.asked import given_settings
from loretta_cli.tasks.protocols import choose_rows, deal, reported_rows
from loretta_cli.tasks.sources import Row, load_split, load_splits
from loretta_cli.tasks.wording import named_columns, reading_more, reworded

FIRST_ROWS = 100
"""Rows of the user's own that tell which column of a template is the longest."""


@dataclass(frozen=True, slots=True)
class TaskData:
    """A task with its rows, checked.

    Args:
        task: The task; for data of the user's own made from the columns and labels that were found.
        train: Examples to train on; empty where a run is only evaluated.
        selection: Examples to choose the checkpoint by; those of ``validation`` under the protocol ``paper``.
        validation: Examples to report.
        notes: What was found and chosen, one sentence each.
        mismatched: Examples of MNLI's second validation set, reported beside those of the first.
    """

    task: Task
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    selection: tuple[Example, ...] = ()
    notes: tuple[str, ...] = ()
    mismatched: tuple[Example, ...] = ()

    @property
    def selection_split(self) -> str:
        """What the rows that choose the checkpoint are called: ``selection``, or those that are reported."""
        return "validation" if self.selection is self.validation else "selection"


def prepare_task(asked: TaskSettings, settings: DataSettings, *, seed: int) -> TaskData:
    """Read and check the rows to train on, to choose the checkpoint by, and to report.

    Args:
        asked: The task section of the config, with a name.
        settings: The data section of the config.
        seed: For samples of rows.

    Raises:
        ConfigError: If a task on the user's own data has no data source, or a setting is not read.
        DataError: Naming file, row and column of the first fault.
    """
    source = _source(asked, settings)
    splits = load_splits(
        source,
        validation_fraction=settings.validation_fraction,
        seed=_hold_out_seed(settings),
        hub_validation=_hub_validation(asked),
    )
    task, notes = task_of_rows(asked, settings, splits.train, splits.validation)
    train, validation = (task.examples(rows) for rows in (splits.train, splits.validation))
    chosen = choose_rows(task, train, validation, settings, seed)
    return TaskData(
        task=task,
        train=chosen.train,
        selection=chosen.selection,
        validation=chosen.validation,
        notes=(splits.description, *notes, *chosen.notes),
        mismatched=reported_rows(task.examples(splits.validation_mismatched), settings, seed),
    )


def prepare_split(
    asked: TaskSettings,
    settings: DataSettings,
    split: str,
    *,
    rows: int | None,
    seed: int,
    whole_file: bool = False,
) -> TaskData:
    """Read and check one split, to evaluate on; it stands in ``validation`` of what is returned.

    Args:
        asked: The task section of the config, with a name.
        settings: The data section; for a task of the user's own with its columns and labels.
        split: ``train``, ``validation``, ``test`` or, of MNLI, ``validation_mismatched``.
        rows: At most so many, or all.
        seed: For the sample.
        whole_file: A source that is one file counts whole (it is not the file that was trained on).

    Raises:
        DataError: If the split is missing or hides its labels, or a row is wrong.
    """
    found = load_split(
        _source(asked, settings),
        split,
        validation_fraction=settings.validation_fraction,
        seed=_hold_out_seed(settings),
        whole_file=whole_file,
        hub_validation=_hub_validation(asked),
    )
    task, notes = task_of_rows(asked, settings, found)
    if all(row.values.get("label") in (-1, "-1") for row in found):
        raise DataError(f"The split {split!r} hides its labels (all are -1), so nothing can be scored on it.")
    examples = task.examples(found)
    (chosen,) = deal(examples, [rows or len(examples)], seed)
    return TaskData(task, (), chosen, notes=tuple(notes))


def _hold_out_seed(settings: DataSettings) -> int:
    """The seed of a validation split that is held out: the same for all seeds of a training."""
    return 0 if settings.seed is None else settings.seed


def _source(asked: TaskSettings, settings: DataSettings) -> str:
    check_task(asked.name or "")
    if settings.source is not None:
        return settings.source
    name = asked.name or ""
    hub_id = None if name in OWN else TASKS.get(name).hub_id
    if hub_id is None:
        raise ConfigError(
            f"The task {name} needs data: --data is missing.",
            hint="Give a folder with train and validation files, one file (.csv, .jsonl, .parquet, .txt), "
            "or a hub id.",
        )
    return hub_id


def _hub_validation(asked: TaskSettings) -> str:
    """The split of a hub data set that is reported."""
    return "validation" if asked.name in OWN else TASKS.get(asked.name or "").hub_validation


def task_of_rows(
    asked: TaskSettings, settings: DataSettings, *splits: Sequence[Row]
) -> tuple[Task, list[str]]:
    """The task with the user's words, and what was found out about the rows; the first ones define it."""
    if asked.name in OWN:
        task, notes = make_own(asked, settings, splits)
        first = [row.values for row in splits[0][:FIRST_ROWS]]
        return reading_more(reworded(task, asked, first), named_columns(asked)), notes
    task = TASKS.get(asked.name or "")
    _refuse_own_settings(task, asked, settings)
    if not named_columns(asked):
        return reworded(task, asked, [{}]), []
    # A template is checked against what the first row has.
    texts = next(task.example(row).texts for row in splits[0] if not task.leaves_out(row))
    return reworded(task, asked, [texts]), []


def _refuse_own_settings(task: Task, asked: TaskSettings, settings: DataSettings) -> None:
    """Refuse what a task of the registry has already: columns, labels, metrics."""
    for key in given_settings(asked, settings):
        if key.startswith("data.") or key == "task.metrics":
            own = "metrics" if key == "task.metrics" else "columns and labels"
            raise ConfigError(
                f"{key} is set, but the task {task.name} has its own {own}.",
                hint=f"Remove it, or use --task {', '.join(OWN)} for data of your own.",
            )
