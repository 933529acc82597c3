"""From a task name and a data source to checked examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loretta_cli.config import DataSettings
from loretta_cli.errors import ConfigError, DataError
from loretta_cli.tasks import CUSTOM, TASKS
from loretta_cli.tasks.base import Example, Task
from loretta_cli.tasks.classification import custom_task, discover_labels
from loretta_cli.tasks.sources import (
    Columns,
    Row,
    check_rows,
    detect_columns,
    load_split,
    load_splits,
    sample,
)


@dataclass(frozen=True, slots=True)
class TaskData:
    """A task with its rows, checked.

    Args:
        task: The task; for ``classification`` made from the columns and labels that were found.
        train: Examples to train on; empty where a run is only evaluated.
        validation: Examples to evaluate on.
        notes: What was found and chosen, one sentence each.
    """

    task: Task
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    notes: tuple[str, ...] = ()


def prepare_task(name: str, settings: DataSettings, *, seed: int) -> TaskData:
    """Read and check the rows to train and validate on.

    Args:
        name: A task of the registry, or ``classification``.
        settings: The data section of the config.
        seed: For the held-out share and for samples of rows.

    Raises:
        ConfigError: If a custom task has no data source.
        DataError: Naming file, row and column of the first fault.
    """
    splits = load_splits(_source(name, settings), validation_fraction=settings.validation_fraction, seed=seed)
    task, notes = _task(name, settings, splits.train, splits.validation)
    train = sample(splits.train, settings.train_rows, seed)
    validation = sample(splits.validation, settings.validation_rows, seed)
    return TaskData(
        task=task,
        train=tuple(map(task.example, train)),
        validation=tuple(map(task.example, validation)),
        notes=(splits.description, *notes),
    )


def prepare_split(
    name: str, settings: DataSettings, split: str, *, rows: int | None, seed: int, whole_file: bool = False
) -> TaskData:
    """Read and check one split, to evaluate on; it stands in ``validation`` of what is returned.

    Args:
        name: The task.
        settings: The data section; for a custom task with its columns and labels.
        split: ``train``, ``validation`` or ``test``.
        rows: At most so many, or all.
        seed: For the held-out share and the sample.
        whole_file: A source that is one file counts whole (it is not the file that was trained on).

    Raises:
        DataError: If the split is missing or hides its labels, or a row is wrong.
    """
    found = load_split(
        _source(name, settings),
        split,
        validation_fraction=settings.validation_fraction,
        seed=seed,
        whole_file=whole_file,
    )
    task, notes = _task(name, settings, found)
    if all(row.values.get(task.column_in(row, task.label)) in (-1, "-1") for row in found):
        raise DataError(f"The split {split!r} hides its labels (all are -1), so nothing can be scored on it.")
    return TaskData(task, (), tuple(map(task.example, sample(found, rows, seed))), tuple(notes))


def _source(name: str, settings: DataSettings) -> str:
    if settings.source is not None:
        return settings.source
    if name == CUSTOM:
        raise ConfigError(
            "The task classification needs data: --data is missing.",
            hint="Give a folder with train and validation files, one file (.csv, .jsonl, .parquet), "
            "or a hub id.",
        )
    hub_id = TASKS.get(name).hub_id
    if hub_id is None:
        raise ConfigError(f"The task {name} has no data on the hub: --data is missing.")
    return hub_id


def _task(name: str, settings: DataSettings, *rows: Sequence[Row]) -> tuple[Task, list[str]]:
    """The task and what was found out about it; ``rows`` are checked, the first define a custom task."""
    if name != CUSTOM:
        _refuse_mapping(name, settings)
        return TASKS.get(name), []
    given = settings.columns
    columns: Columns = detect_columns(rows[0], text=given.text, text_pair=given.text_pair, label=given.label)
    for part in rows:
        check_rows(part, columns)
    labels = discover_labels(rows[0], columns.label, settings.labels)
    notes = [f"{len(labels)} labels: {', '.join(labels[:12])}{', …' if len(labels) > 12 else ''}"]
    if columns.detected:
        notes.append(f"columns found: text={columns.text}, label={columns.label}")
    return custom_task(columns, labels), notes


def _refuse_mapping(name: str, settings: DataSettings) -> None:
    given = [key for key in ("text", "text_pair", "label") if getattr(settings.columns, key) is not None]
    if given or settings.labels is not None:
        key = f"data.columns.{given[0]}" if given else "data.labels"
        raise ConfigError(
            f"{key} is set, but the task {name} has its own columns and labels.",
            hint="Remove it, or use --task classification for data of your own.",
        )
