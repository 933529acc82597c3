"""What a grid varies: recipes, models, methods, tasks, seeds and settings, from flags or from a grid file.

A grid file is YAML with one section; each value is a list, or one value::

    grid:
      recipes: [my-recipe.yaml]
      models: [bundled:minilm]
      methods: [adp, rep]
      tasks: [sst2, trec]
      seeds: [0, 1, 2]
      settings:
        adapter.tt_rank: [2, 5, 10, 20]
        training.epochs: 5

Imports config and registry; nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from loretta_cli.config import find_recipe, matching_recipes, recipe_name, setting_fields
from loretta_cli.config.faults import Fault, config_error, unknown_key
from loretta_cli.config.yaml_files import read_mapping
from loretta_cli.errors import ConfigError
from loretta_cli.registry import suggest

_KEYS = ("recipes", "models", "methods", "tasks", "seeds", "settings")
_OWN_AXES = {
    "model.name": "models",
    "adapter.method": "methods",
    "task.name": "tasks",
    "training.seed": "seeds",
}


@dataclass(frozen=True, slots=True)
class Axes:
    """The values along each axis; an empty axis leaves the value to the recipe, or to the default.

    Args:
        recipes: Names or paths of recipes.
        models: Hub ids, local folders or bundled names.
        methods: Names of methods.
        tasks: Names of tasks.
        seeds: Of ``training.seed``.
        settings: Dotted key to the values that it takes.
    """

    recipes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    settings: Mapping[str, tuple[object, ...]] = field(default_factory=dict)


class Faults:
    """Everything that is wrong with a grid, each once, to be told together."""

    def __init__(self) -> None:
        self._found: dict[str, Fault] = {}

    def add(self, sentence: str, advice: str = "") -> None:
        """Note a fault."""
        self._found.setdefault(sentence, Fault(sentence.removesuffix("."), advice, alone=sentence))

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note the ConfigError that ends the block, if one does."""
        try:
            yield
        except ConfigError as error:
            for sentence, advice in error.parts or [(error.message, error.hint)]:
                self.add(sentence, advice)

    def raise_if_any(self) -> None:
        """Tell all that was noted.

        Raises:
            ConfigError: If anything was.
        """
        if self._found:
            raise config_error(list(self._found.values()))


def find_axes(recipes: Sequence[str], given: Axes, faults: Faults) -> Axes:
    """The axes of a grid.

    Args:
        recipes: Recipes, globs of shipped ones, or one grid file.
        given: What the flags say; it wins over a grid file.
        faults: Takes what is wrong.
    """
    names: list[str] = []
    grids: list[tuple[Path, Mapping[Any, object]]] = []
    for recipe in recipes:
        with faults.noted():
            found = _matching(recipe)
            path = find_recipe(found[0])
            content = {} if len(found) > 1 else read_mapping(path, "recipe")
            if "grid" in content:
                grids.append((path, content))
            else:
                names += found
    if grids and len(recipes) > 1:
        name = recipe_name(grids[0][0])
        others = " and ".join(other for other in recipes if other != name)
        faults.add(
            f"{name} is a grid file, which stands alone, and {others or name} is given beside it.",
            "List recipes in its grid.recipes.",
        )
    if not grids:
        return replace(given, recipes=_once(names))
    file = _read_grid(*grids[0], faults)
    return Axes(
        _once(file.recipes),
        given.models or file.models,
        given.methods or file.methods,
        given.tasks or file.tasks,
        given.seeds or file.seeds,
        file.settings,
    )


def _matching(recipe: str) -> list[str]:
    """The shipped recipes that a glob finds, or the one recipe."""
    is_glob = any(sign in recipe for sign in "*?[") and not Path(recipe).is_file()
    return matching_recipes(recipe) if is_glob else [recipe]


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _read_grid(path: Path, content: Mapping[Any, object], faults: Faults) -> Axes:
    """The axes in a grid file."""
    where = f"grid {recipe_name(path)}"
    for key in content:
        if key != "grid":
            faults.add(
                f"{key}: unknown key ({where}), a grid file holds grid alone.",
                "Put settings under grid.settings, or in a recipe that grid.recipes lists.",
            )
    grid = content["grid"]
    if not isinstance(grid, Mapping):
        faults.add(f"grid: found {grid!r} ({where}), expected keys such as methods and tasks.")
        return Axes()
    for key in grid:
        if key not in _KEYS:
            faults.add(f"grid.{key}: unknown key ({where}).", suggest(str(key), _KEYS, plural="keys of grid"))
    texts = {key: _values(grid, key, str, "texts", where, faults) for key in _KEYS[:4]}
    recipes: list[str] = []
    for name in texts["recipes"]:
        with faults.noted():
            recipes += _matching(name)
    return Axes(
        tuple(recipes),
        texts["models"],
        texts["methods"],
        texts["tasks"],
        _values(grid, "seeds", int, "whole numbers", where, faults),
        _settings(grid.get("settings"), where, faults),
    )


def _values(
    grid: Mapping[Any, object], key: str, kind: type, expected: str, where: str, faults: Faults
) -> tuple[Any, ...]:
    """One axis: a list without repeats, or one value."""
    found = grid.get(key)
    if found is None:
        return ()
    values = found if isinstance(found, list) else [found]
    if not values or any(type(value) is not kind for value in values):
        faults.add(f"grid.{key}: found {found!r} ({where}), expected a list of {expected}.")
        return ()
    return tuple(dict.fromkeys(values))


def _settings(found: object, where: str, faults: Faults) -> dict[str, tuple[object, ...]]:
    """The settings to vary; the values are checked with the cells they are part of."""
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        faults.add(f"grid.settings: found {found!r} ({where}), expected dotted keys with lists of values.")
        return {}
    for key in map(str, found):
        if key in _OWN_AXES:
            faults.add(
                f"grid.settings: {key} has a list of its own ({where}).", f"Use grid.{_OWN_AXES[key]}."
            )
        elif key not in setting_fields():
            fault = unknown_key(key, f"{where}, settings")
            faults.add(f"{fault.sentence}.", fault.advice)
    known = {str(key): value for key, value in found.items() if str(key) in setting_fields()}
    return {key: tuple(value) if isinstance(value, list) else (value,) for key, value in known.items()}
