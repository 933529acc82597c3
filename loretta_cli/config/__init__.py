"""WHAT was asked: the settings of a run as pure data, from recipe, ``--set`` and flags, all checked.

This room knows no model and no tensor: it imports pydantic and PyYAML, :mod:`loretta_cli.registry` and
:mod:`loretta_cli.errors`, and never torch, transformers, datasets or peft. The command line imports it
inside its commands, so that ``loretta --help`` stays fast.
"""

from __future__ import annotations

from loretta_cli.config.faults import settings_called
from loretta_cli.config.loading import (
    LoadedConfig,
    contradictions,
    load_config,
    read_run_config,
    write_config,
)
from loretta_cli.config.recipes import (
    copy_recipe,
    find_recipe,
    matching_recipes,
    read_recipe,
    recipe_about,
    recipe_name,
    recipes_folder,
    shipped_recipes,
)
from loretta_cli.config.schema import (
    AdapterSettings,
    ColumnSettings,
    Config,
    DataSettings,
    ModelSettings,
    OutputSettings,
    TaskSettings,
    section_keys,
    setting_fields,
)
from loretta_cli.config.training import TrainingSettings, ZerothOrderSettings
from loretta_cli.config.wording import expected, shown

__all__ = [
    "AdapterSettings",
    "ColumnSettings",
    "Config",
    "DataSettings",
    "LoadedConfig",
    "ModelSettings",
    "OutputSettings",
    "TaskSettings",
    "TrainingSettings",
    "ZerothOrderSettings",
    "contradictions",
    "copy_recipe",
    "expected",
    "find_recipe",
    "load_config",
    "matching_recipes",
    "read_recipe",
    "read_run_config",
    "recipe_about",
    "recipe_name",
    "recipes_folder",
    "section_keys",
    "setting_fields",
    "settings_called",
    "shipped_recipes",
    "shown",
    "write_config",
]
