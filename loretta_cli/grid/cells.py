"""From the axes of a grid to its cells: one config each, all checked before the first one runs.

A cell's name says what it is and never depends on the others, so that a grid can grow. Imports config,
methods, tasks and artifacts; nothing heavy.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loretta_cli.artifacts.run_folder import file_name, short_model
from loretta_cli.config import AdapterSettings, Config, find_recipe, load_config, recipe_name
from loretta_cli.errors import ConfigError
from loretta_cli.grid.axes import Axes, Faults
from loretta_cli.methods import check_method
from loretta_cli.tasks import check_task

_ESTIMATE = (
    *("estimator", "directions", "queries", "schedule", "alpha", "beta", "max_queries", "normalize"),
)
"""The settings of zeroth-order training that say what the estimate is."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of a grid.

    Args:
        name: Of its folder.
        config: What is asked for.
        recipe: Name of its recipe, or an empty string.
        varied: The settings that the grid file varies, with this cell's values.
    """

    name: str
    config: Config
    recipe: str
    varied: Mapping[str, object]

    @property
    def model(self) -> str:
        """The base model, as it was asked for."""
        return self.config.model.name or ""

    @property
    def method(self) -> str:
        """The method."""
        return self.config.adapter.method

    @property
    def task(self) -> str:
        """The task."""
        return self.config.task.name or ""

    @property
    def source(self) -> str | None:
        """Where its rows are; None for the task's own place on the hub."""
        return self.config.data.source

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return self.config.training.seed

    @property
    def said(self) -> dict[str, str]:
        """The settings that set it apart from others of its model, method, task and seed, as text."""
        config = self.config
        values: dict[str, object] = dict(config.adapter.given)
        if config.data.shots is not None:
            values["shots"] = config.data.shots
        values |= _said_of_gradients(config)
        values |= {short_key(key): value for key, value in self.varied.items()}
        return {name: value_text(value) for name, value in values.items()}


def make_cells(
    axes: Axes, faults: Faults, *, data: str | None, overrides: Sequence[str], trust_remote_code: bool = False
) -> tuple[Cell, ...]:
    """Every cell of a grid, the first seed's first, those of a task together.

    Args:
        axes: What varies.
        faults: Takes what is wrong; all of it is raised together.
        data: The value of ``--data``; a sub-folder with a task's name is that task's.
        overrides: The values of ``--set``.
        trust_remote_code: The flag.

    Raises:
        ConfigError: If anything is wrong with the grid or with a cell.
    """
    for name in axes.methods:
        with faults.noted():
            check_method(name)
    for name in axes.tasks:
        with faults.noted():
            check_task(name)
    for key in (override.partition("=")[0] for override in overrides):
        if key in axes.settings:
            faults.add(f"--set fixes {key}, which the grid varies.", "Leave one of the two out.")
    cells: list[Cell] = []
    for seed, task, recipe, model, method, varied in itertools.product(
        axes.seeds or (None,),
        axes.tasks or (None,),
        axes.recipes or (None,),
        axes.models or (None,),
        axes.methods or (None,),
        _combinations(axes.settings),
    ):
        flags: dict[str, object] = {
            "model.name": model and absolute(model),
            "adapter.method": method,
            "task.name": task,
            "training.seed": seed,
            "data.source": data and absolute(data),
            "model.trust_remote_code": trust_remote_code or None,
        }
        with faults.noted():
            path = find_recipe(recipe) if recipe is not None else None
            config = load_config(path, flags, overrides, grid=varied).config
            config = _checked(config, recipe, named=method is not None)
            config = _with_data_of_the_task(config) if data is not None else config
            # A recipe says all that no flag says.
            told = {config.task.name: task, config.adapter.method: method, config.model.name: model}
            named = [
                short_model(name or "") for name, flag in told.items() if flag is not None or path is None
            ]
            shown = recipe_name(path) if path is not None else ""
            own = [path.stem if shown == str(path) else shown] if path is not None else []
            settings = [f"{short_key(key)}={value_text(value)}" for key, value in varied.items()]
            parts = [*own, *named, *settings, f"seed{config.training.seed}"]
            cells.append(Cell("-".join(map(file_name, parts)), config, shown, varied))
    for name, count in Counter(cell.name for cell in cells).items():
        if count > 1:
            faults.add(
                f"{count} cells of the grid have the one name {name}.",
                "--set fixes what the grid varies, or two folders of models or recipes have one name.",
            )
    faults.raise_if_any()
    if any(cell.config.output.dir is not None for cell in cells):
        raise ConfigError(
            "output.dir is set, but the cells of a grid have their folders below --output.",
            hint="Remove it from the recipe or from --set.",
        )
    return tuple(cells)


def _combinations(settings: Mapping[str, tuple[object, ...]]) -> list[dict[str, object]]:
    """Every combination of the settings that a grid file varies.

    Where it varies the gradients too, those without zeroth order have none of its settings, and stand once.
    """
    found: list[dict[str, object]] = []
    for values in itertools.product(*settings.values()):
        varied = dict(zip(settings, values, strict=True))
        if "zo" in settings.get("training.gradient", ()) and varied["training.gradient"] != "zo":
            varied = {key: value for key, value in varied.items() if not key.startswith("zo.")}
        if varied not in found:
            found.append(varied)
    return found


def _said_of_gradients(config: Config) -> dict[str, object]:
    """How the gradients come about, where that is not backpropagation of the loss.

    Only what makes another method of it: a distance or a budget is tuned to a task, as a learning rate is.
    """
    if config.training.gradient == "backprop":
        return {}
    said: dict[str, object] = {"gradient": config.training.gradient}
    if config.training.objective != "loss":
        said["objective"] = config.training.objective
    fields = type(config.zo).model_fields
    for name in _ESTIMATE:
        is_read = name == "queries" and config.zo.schedule != "adazeta"
        if is_read or getattr(config.zo, name) != fields[name].default:
            said[short_key(f"zo.{name}")] = getattr(config.zo, name)
    return said


def short_key(key: str) -> str:
    """A setting's name without its section, unless the adapter has one of that name."""
    section, _, name = key.rpartition(".")
    return key if section != "adapter" and name in AdapterSettings.model_fields else name


def value_text(value: object) -> str:
    """A setting's value in few characters: true, 0.001, 4+8, 8x8x12x8x8."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        shapes = ("x".join(map(str, modes)) for modes in value.values())
        return "+".join(dict.fromkeys(shapes))
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


def absolute(value: str) -> str:
    """A path that exists as it is reached from anywhere; other names as they are."""
    path = Path(value).expanduser()
    return str(path.resolve()) if not value.startswith("bundled:") and path.exists() else value


def _checked(config: Config, recipe: str | None, *, named: bool) -> Config:
    """The config, if it names a known method, a known task and a model.

    Raises:
        ConfigError: If it does not.
    """
    if not named:
        check_method(config.adapter.method)
    if config.task.names is not None:
        raise ConfigError(
            f"The recipe {recipe} trains on several tasks one after the other, and a cell on one.",
            hint="Train it by itself: loretta train.",
        )
    missing = [name for name in ("model", "task") if getattr(config, name).name is None]
    if missing:
        owner = f"The recipe {recipe} has" if recipe else "The grid has"
        flags = " and ".join(f"--{name} NAME" for name in missing)
        raise ConfigError(f"{owner} no {' and no '.join(missing)}.", hint=f"Add {flags}.")
    check_task(config.task.name or "")
    return config


def _with_data_of_the_task(config: Config) -> Config:
    """The config with ``data.source`` at the task's own sub-folder, if there is one."""
    own = Path(config.data.source or "") / (config.task.name or "")
    update: dict[str, Any] = {"source": str(own)} if own.is_dir() else {}
    return config.model_copy(update={"data": config.data.model_copy(update=update)})
