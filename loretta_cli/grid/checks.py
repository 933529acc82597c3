"""Checking the cells of a grid before the first one runs, and telling what is wrong once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loretta_cli.errors import DataError, LorettaError, ModelError
from loretta_cli.grid.cells import Cell
from loretta_cli.grid.folder import reason_of
from loretta_cli.measure.counting import count_methods
from loretta_cli.planning.checking import Checker
from loretta_cli.tasks import OWN, TASKS

_MOST_NAMES = 3


@dataclass(frozen=True, slots=True)
class Check:
    """What was found of a cell.

    Args:
        trainable: Its trainable parameters; of a cell that cannot run, by formula where they can be, or None.
        error: Why it cannot run; None if nothing is wrong.
    """

    trainable: int | None
    error: Exception | None = None


def check_cells(cells: Sequence[Cell]) -> dict[str, Check]:
    """Plan each cell, without weights, as its training would.

    Returns:
        What was found, by the cell's name.
    """
    checker = Checker()
    found: dict[str, Check] = {}
    for cell in cells:
        result = checker.check(cell.config)
        if isinstance(result, Exception):
            # What is not at hand may be on another machine; the count needs neither data nor tokenizer.
            is_absent = isinstance(result, DataError | ModelError)
            found[cell.name] = Check(_by_formula(cell) if is_absent else None, result)
        else:
            found[cell.name] = Check(result)
    return found


def _by_formula(cell: Cell) -> int | None:
    """What a well-known model would train on a task whose labels are known."""
    if cell.task in OWN:
        return None
    data = cell.config.data.model_copy(update={"labels": list(TASKS.get(cell.task).outputs)})
    config = cell.config.model_copy(update={"data": data})
    try:
        return count_methods(config, [cell.method], asked={cell.method}, labels=None)[0].count.trainable
    except LorettaError:
        return None


def told_once(found: Iterable[tuple[Cell, Exception]], what: str) -> list[LorettaError]:
    """One error for all cells that have the same fault.

    Args:
        found: The cells and their faults.
        what: What became of them: ``cannot run``.
    """
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for cell, error in found:
        groups[reason_of(error), getattr(error, "hint", "")].append(cell.name)
    return [
        LorettaError(f"{names_of(names)} {what}: {reason}", hint=hint)
        for (reason, hint), names in groups.items()
    ]


def names_of(names: Sequence[str]) -> str:
    """``a, b, c and 4 more``."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
