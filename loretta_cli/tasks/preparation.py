"""From a task name and a data source to checked examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loretta_cli.config import DataSettings
from loretta_cli.errors import ConfigError, DataError
from loretta_cli.tasks import CUSTOM, TASKS
from loretta_cli.tasks.base import Example, Task
from loretta_cli.tasks.classification import custom_task, discover_labels, named
from loretta_cli.tasks.sources import Row, Splits, check_rows, detect_columns, load_splits, sample


@dataclass(frozen=True, slots=True)
class TaskData:
    """A task with its rows, checked.

    Args:
        task: The task; for ``classification`` made from the columns and labels that were found.
        train: Examples to train on.
        validation: Examples to evaluate on.
        test: Further labelled examples, often none.
        notes: What was found and chosen, one sentence each.
    """

    task: Task
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    notes: tuple[str, ...]

    def split(self, name: str) -> tuple[Example, ...]:
        """The examples of a split.

        Raises:
            DataError: If the split is unknown or empty.
        """
        rows = {"train": self.train, "validation": self.validation, "test": self.test}.get(name)
        if not rows:
            raise DataError(
                f"The data has no labelled rows in the split {name!r}.",
                hint="Splits: train, validation, and test where the data has one.",
            )
        return rows


def prepare_task(name: str, settings: DataSettings, *, seed: int) -> TaskData:
    """Read and check the rows of a task.

    Args:
        name: A task of the registry, or ``classification``.
        settings: The data section of the config.
        seed: For the held-out share and for samples of rows.

    Raises:
        ConfigError: If a custom task has no data source.
        DataError: Naming file, row and column of the first fault.
    """
    source = settings.source or _default_source(name)
    splits = load_splits(source, validation_fraction=settings.validation_fraction, seed=seed)
    if name == CUSTOM:
        task, splits, notes = _custom(splits, settings)
    else:
        _refuse_mapping(name, settings)
        task, notes = TASKS.get(name), []
    train = sample(splits.train, settings.train_rows, seed)
    validation = sample(splits.validation, settings.validation_rows, seed)
    return TaskData(
        task=task,
        train=tuple(task.example(row) for row in train),
        validation=tuple(task.example(row) for row in validation),
        test=_labelled(task, splits.test),
        notes=(splits.description, *notes),
    )


def _default_source(name: str) -> str:
    if name == CUSTOM:
        raise ConfigError(
            "The task classification needs data: --data is missing.",
            hint="Give a folder with train and validation files, one file (.csv, .jsonl, .parquet), or a hub id.",
        )
    hub_id = TASKS.get(name).hub_id
    if hub_id is None:
        raise ConfigError(f"The task {name} has no data on the hub: --data is missing.")
    return hub_id


def _custom(splits: Splits, settings: DataSettings) -> tuple[Task, Splits, list[str]]:
    mapped = settings.columns
    columns = detect_columns(
        splits.train, text=mapped.text, text_pair=mapped.text_pair, label=mapped.label
    )
    for rows in (splits.train, splits.validation):
        check_rows(rows, columns)
    labels = discover_labels(splits.train, columns.label, settings.labels)
    notes = [f"{len(labels)} labels: {', '.join(labels[:12])}{', …' if len(labels) > 12 else ''}"]
    if columns.detected:
        notes.append(f"columns found: text={columns.text}, label={columns.label}")

    def rename(rows: Sequence[Row]) -> tuple[Row, ...]:
        return tuple(named(row, columns.label, labels) for row in rows)

    checked = Splits(rename(splits.train), rename(splits.validation), splits.test, splits.description)
    return custom_task(columns, labels), checked, notes


def _labelled(task: Task, rows: Sequence[Row]) -> tuple[Example, ...]:
    """The examples of a test split, or none where the benchmark hides its labels (-1)."""
    if not rows or any(row.values.get(task.label) in (None, -1) for row in rows):
        return ()
    return tuple(task.example(row) for row in rows)


def _refuse_mapping(name: str, settings: DataSettings) -> None:
    given = [key for key in ("text", "text_pair", "label") if getattr(settings.columns, key) is not None]
    if given or settings.labels is not None:
        key = f"data.columns.{given[0]}" if given else "data.labels"
        raise ConfigError(
            f"{key} is set, but the task {name} has its own columns and labels.",
            hint="Remove it, or use --task classification for data of your own.",
        )
