"""What the cells of a grid would train, counted as ``count-params`` does: no weights, mostly by formula."""

from __future__ import annotations

from collections.abc import Sequence

from loretta_cli.errors import LorettaError
from loretta_cli.grid.cells import Cell
from loretta_cli.measure.counting import count_methods
from loretta_cli.tasks import OWN, TASKS


def count_cells(cells: Sequence[Cell]) -> dict[str, int | str]:
    """The trainable parameters of each cell by its name, or why they cannot be counted.

    A task of the user's own is counted with two labels, unless ``data.labels`` lists them.
    """
    known: dict[str, int | str] = {}
    counts: dict[str, int | str] = {}
    for cell in cells:
        config = cell.config
        labels = config.data.labels or _labels(cell.task)
        config = config.model_copy(update={"data": config.data.model_copy(update={"labels": labels})})
        parts = (config.model, config.adapter, config.task.form, labels)
        key = repr(parts)
        if key not in known:
            try:
                found = count_methods(config, [cell.method], asked={cell.method}, labels=None)
                known[key] = found[0].count.trainable
            except LorettaError as error:
                known[key] = f"{cell.name}: {error.message}"
        counts[cell.name] = known[key]
    return counts


def _labels(task: str) -> list[str]:
    return [] if task in OWN else list(TASKS.get(task).outputs)
