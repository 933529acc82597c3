"""Which rows train, which choose the checkpoint, and which are reported: the protocols of the papers.

The rows that choose never are those that are reported, except under ``paper``, which says so:

- ``full``: all rows train, but for a share that is held out to choose the checkpoint;
- ``low-data`` (MeZO, Section 3; LoRETTA, Section 4.2): 1,000 rows train, 500 others choose, at most 1,000 of
  the validation split are reported. Of a task with fewer than 1,500 rows (CB, COPA, WSC) 100 choose;
- ``k-shot`` (MeZO, Section 3): k rows of each label train, k others choose;
- ``paper`` (LoRETTA, Section 4.1): the checkpoint is chosen on the split that is reported.

Rows of one group (the answers to one question) stay together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from loretta_cli.config import DataSettings
from loretta_cli.errors import ConfigError, DataError
from loretta_cli.numerals import counted
from loretta_cli.tasks.base import Example, Task
from loretta_cli.tasks.sources import permutation

Examples = tuple[Example, ...]

LOW_DATA_TRAIN, LOW_DATA_SELECTION, MOST_REPORTED = 1000, 500, 1000
SMALL_SELECTION = 100
"""Of a task that cannot spare 500 rows."""
MOST_SELECTION = 1000
"""Of the share that ``full`` holds out: more rows choose no better."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The rows of a run.

    Args:
        train: To train on.
        selection: To choose the checkpoint by.
        validation: To report.
        notes: What was chosen, one sentence each.
    """

    train: Examples
    selection: Examples
    validation: Examples
    notes: tuple[str, ...]


def choose_rows(
    task: Task, train: Sequence[Example], validation: Sequence[Example], settings: DataSettings, seed: int
) -> Chosen:
    """Choose the rows of a run.

    Args:
        task: The task.
        train: Its train split.
        validation: Its validation split.
        settings: The data section of the config.
        seed: Of the draw.

    Raises:
        ConfigError: If the protocol and the task or the other settings do not go together.
        DataError: If there are too few rows.
    """
    reported = reported_rows(validation, settings, seed)
    _check_read(settings)
    if settings.protocol == "paper":
        (chosen,) = deal(train, [settings.train_rows or len(train)], seed)
        note = "the checkpoint is chosen on the split that is reported (protocol paper)"
        return Chosen(chosen, reported, reported, (note,))
    if settings.protocol == "k-shot":
        chosen, selection, notes = _k_shot(task, train, settings, seed)
    else:
        chosen, selection = deal(train, _sizes(len(train), settings), seed)
        notes = ()
    if not chosen or not selection:
        raise DataError(
            counted(len(train), "training row is", "training rows are")
            + " too few to train on some and choose the checkpoint by others.",
            hint="Add rows, or set data.protocol=paper, which chooses on the validation split.",
        )
    of = f"of the {counted(len(train), 'train row')}"
    note = counted(len(selection), f"{of} is", f"{of} are") + " held out to choose the checkpoint"
    return Chosen(chosen, selection, reported, (note, *notes))


def most_reported(settings: DataSettings) -> int | None:
    """How many rows of the validation split are reported; None for all."""
    if settings.validation_rows is not None or settings.protocol in ("full", "paper"):
        return settings.validation_rows
    return MOST_REPORTED


def reported_rows(rows: Sequence[Example], settings: DataSettings, seed: int) -> Examples:
    """The rows of a split that are reported."""
    (chosen,) = deal(rows, [most_reported(settings) or len(rows)], seed)
    return chosen


def deal(rows: Sequence[Example], counts: Sequence[int], seed: int) -> list[Examples]:
    """Deal rows out at random, whole groups at a time; a smaller first count gives the first of a larger.

    Args:
        rows: The rows.
        counts: How many at most for each part, one part after the other; a part has one group at least.
        seed: Keys the generator, so the draw is the same on every machine.

    Returns:
        A part for each count; one part of all rows is in their own order.
    """
    if len(counts) == 1 and counts[0] >= len(rows):
        return [tuple(rows)]
    groups: dict[object, list[Example]] = defaultdict(list)
    for number, row in enumerate(rows):
        groups[row.group or number].append(row)
    in_order = list(groups.values())
    order = iter([in_order[place] for place in permutation(len(in_order), seed)])
    parts: list[Examples] = []
    left: list[Example] = []
    for count in counts:
        part: list[Example] = []
        # The group that no longer fits begins the next part.
        while len(part) + len(left) <= count or (count > 0 and not part):
            part += left
            left = next(order, [])
            if not left:
                break
        parts.append(tuple(part))
    return parts


def _check_read(settings: DataSettings) -> None:
    """Refuse settings that the protocol does not read.

    Raises:
        ConfigError: Naming the first.
    """
    unread = {
        "full": ("shots",),
        "low-data": ("shots", "selection_fraction"),
        "k-shot": ("train_rows", "selection_rows", "selection_fraction"),
        "paper": ("shots", "selection_rows", "selection_fraction"),
    }
    for name in unread[settings.protocol]:
        if (value := getattr(settings, name)) != DataSettings.model_fields[name].default:
            raise ConfigError(
                f"data.{name} is {value}, but the protocol {settings.protocol} does not read it.",
                hint="Add data.protocol=k-shot, or leave it out." if name == "shots" else "Leave it out.",
            )


def _sizes(rows: int, settings: DataSettings) -> list[int]:
    """How many of the train rows train, and how many choose."""
    if settings.protocol == "low-data":
        most = settings.train_rows or LOW_DATA_TRAIN
        small = min(SMALL_SELECTION, rows * 2 // 5)
        held = LOW_DATA_SELECTION if rows >= LOW_DATA_TRAIN + LOW_DATA_SELECTION else small
    else:
        most = settings.train_rows or rows
        held = min(max(round(min(most, rows) * settings.selection_fraction), 1), MOST_SELECTION)
    held = settings.selection_rows or held
    return [min(most, rows - held), held]


def _k_shot(
    task: Task, train: Sequence[Example], settings: DataSettings, seed: int
) -> tuple[Examples, Examples, tuple[str, ...]]:
    """K rows of each label to train on and k to choose by; half of each where a label has too few."""
    shots = settings.shots
    if shots is None or task.kind != "classification":
        problem = "data.shots is missing" if shots is None else f"the task {task.name} has no labels"
        raise ConfigError(
            f"The protocol k-shot takes k rows of each label, and {problem}.",
            hint="Use --set data.shots=16." if shots is None else "Use data.protocol=low-data.",
        )
    if any(row.group for row in train):
        raise ConfigError(
            f"The protocol k-shot draws single rows, and those of the task {task.name} belong together.",
            hint="Use data.protocol=low-data, which draws whole groups.",
        )
    chosen: list[Example] = []
    selection: list[Example] = []
    notes = []
    for label, name in enumerate(task.labels):
        rows = [row for row in train if row.label == label]
        count = min(shots, len(rows) // 2)
        if not count:
            raise DataError(
                f"The label {name} has {len(rows)} of the training rows, too few to train on one and choose "
                "the checkpoint by another.",
                hint="Add rows of it, or use data.protocol=full.",
            )
        if count < shots:
            each = counted(count, "trains and 1 chooses", f"train and {count} choose")
            notes.append(f"the label {name} has {counted(len(rows), 'row')}: {each}")
        one, other = deal(rows, [count, count], seed)
        chosen += one
        selection += other
    return tuple(chosen), tuple(selection), tuple(notes)
