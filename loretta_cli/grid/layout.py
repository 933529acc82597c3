"""Where the cells of a grid stand in its table: what a row and a column are, and what they are called.

A column is a task, or a task on one of several data sets. Imports config and tasks; nothing heavy.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from loretta_cli.config import ZerothOrderSettings
from loretta_cli.grid.cells import Cell, short_key
from loretta_cli.tasks.sources.files import SUFFIXES

_OF_ZEROTH_ORDER = {short_key(f"zo.{name}") for name in ZerothOrderSettings.model_fields}
"""What tells rows of zeroth-order training apart; from others, the gradient does."""


@dataclass(frozen=True, slots=True)
class RowKey:
    """What the cells of one row of the table share.

    Args:
        model: The base model.
        method: The method.
        said: :attr:`Cell.said`, sorted, without the data, which is the column's.
        recipe: Name of the recipe, where it takes that to tell two rows apart.
    """

    model: str
    method: str
    said: tuple[tuple[str, str], ...]
    recipe: str = ""


def columns_of(cells: Sequence[Cell]) -> dict[str, str]:
    """What each cell's column is called, by the cell's name: its task, and its data if there are several."""
    sources: dict[str, dict[str, None]] = defaultdict(dict)
    for cell in cells:
        sources[cell.task][cell.source or "the hub"] = None
    names = {
        (task, source): task if len(found) == 1 else f"{task} on {name}"
        for task, found in sources.items()
        for source, name in zip(found, _apart(list(found), SUFFIXES), strict=True)
    }
    return {cell.name: names[cell.task, cell.source or "the hub"] for cell in cells}


def _apart(names: Sequence[str], endings: Container[str] = ()) -> Sequence[str]:
    """The ends of paths without what they have in common: ``reviews`` of ``data/reviews.csv``.

    Args:
        names: Paths, or names that look like one; all different.
        endings: Of files, which are left out.
    """
    paths = [Path(name) for name in names]
    parts = [(path.with_suffix("") if path.suffix.lower() in endings else path).parts for path in paths]
    for count in range(1, max(map(len, parts)) + 1):
        ends = ["/".join(part[-count:]) for part in parts]
        if len(set(ends)) == len(ends):
            return ends
    return names


def rows_of(cells: Sequence[Cell]) -> dict[RowKey, list[Cell]]:
    """The cells of each row of the table, in the order in which the rows are first met."""
    columns = columns_of(cells)
    named = [(RowKey(cell.model, cell.method, _said(cell)), cell) for cell in cells]
    places = Counter((key, columns[cell.name], cell.seed) for key, cell in named)
    clash = any(count > 1 for count in places.values())
    rows: dict[RowKey, list[Cell]] = defaultdict(list)
    for key, cell in named:
        rows[RowKey(key.model, key.method, key.said, cell.recipe if clash else "")].append(cell)
    return dict(rows)


def _said(cell: Cell) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, text) for name, text in cell.said.items() if name != "source"))


def row_labels(keys: Sequence[RowKey]) -> dict[RowKey, str]:
    """What each row is called: its method, and whatever sets it apart from other rows."""
    models = list(dict.fromkeys(key.model for key in keys))
    recipes = list(dict.fromkeys(key.recipe for key in keys))
    short_models = dict(zip(models, _apart([name.removeprefix("bundled:") for name in models]), strict=True))
    short_recipes = dict(zip(recipes, _apart(recipes, (".yaml", ".yml")), strict=True))
    labels = {}
    for key in keys:
        alike = [other for other in keys if (other.model, other.method) == (key.model, key.method)]
        parts = [key.method, *([short_models[key.model]] if len(models) > 1 else [])]
        parts += [
            f"{name}={text}"
            for name, text in _with_gradient(key)
            if any(
                (name, text) not in _with_gradient(other)
                for other in alike
                if name not in _OF_ZEROTH_ORDER or _gradient(other) == "zo"
            )
        ]
        if len({other.recipe for other in alike}) > 1:
            parts.append(short_recipes[key.recipe])
        labels[key] = ", ".join(parts)
    return labels


def _with_gradient(key: RowKey) -> list[tuple[str, str]]:
    """What is said of a row, with its gradients, which go without saying unless others differ."""
    return sorted({**dict(key.said), "gradient": _gradient(key)}.items())


def _gradient(key: RowKey) -> str:
    return dict(key.said).get("gradient", "backprop")
