"""The shipped recipes: where they are, what they are called, and how a name becomes a path.

Imports :mod:`registry` and :mod:`errors` only.
"""

from __future__ import annotations

import os.path
from pathlib import Path

from loretta_cli.errors import ConfigError
from loretta_cli.registry import suggest

_SUFFIXES = (".yaml", ".yml")

LAUNCHER_CONFIGS = "accelerate/"
"""Beside the recipes: configurations for ``accelerate launch``, which are none."""


def recipes_folder() -> Path:
    """The folder of the shipped recipes: in the installed package, or beside it in a checkout.

    Raises:
        ConfigError: If the installation has none.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "recipes", package.parent / "recipes"):
        # Beside an installed package, another project's "recipes" could lie; ours has this file.
        if (folder / "quickstart.yaml").is_file():
            return folder
    raise ConfigError(
        "The shipped recipes are missing from this installation.",
        hint="Install loretta again, or give the path of a recipe of your own.",
    )


def shipped_recipes() -> list[str]:
    """Names of the shipped recipes, sorted, without suffix: "quickstart", "paper/table2-boolq-adp"."""
    folder = recipes_folder()
    names = (path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))
    return sorted(name for name in names if not name.startswith(LAUNCHER_CONFIGS))


def find_recipe(name_or_path: str) -> Path:
    """The file of a recipe.

    Args:
        name_or_path: The name of a shipped recipe, or the path of a ``.yaml`` or ``.yml`` file. A shipped
            name wins over a file of that name, which ``./`` and a suffix reach.

    Raises:
        ConfigError: If it is neither, with the nearest shipped name.
    """
    # Only names out of the list are joined to the folder, so `..` cannot lead out of it.
    if name_or_path in shipped_recipes():
        return recipes_folder() / f"{name_or_path}.yaml"
    is_yaml = name_or_path.endswith(_SUFFIXES)
    if os.path.isfile(name_or_path) and is_yaml:
        return Path(name_or_path)
    if os.path.isfile(name_or_path):
        raise ConfigError(
            f"The recipe {name_or_path!r} is not a .yaml or .yml file.",
            hint="Rename the file, if it is a recipe.",
        )
    if os.path.isdir(name_or_path):
        raise ConfigError(
            f"{name_or_path!r} is a folder, expected a recipe.", hint="Give a .yaml file inside it."
        )
    name = os.path.splitext(name_or_path)[0] if is_yaml else name_or_path
    found = f"There is no recipe file {name_or_path!r}." if is_yaml else f"Unknown recipe {name_or_path!r}."
    raise ConfigError(found, hint=suggest(name, shipped_recipes(), plural="recipes"))


def recipe_name(path: Path) -> str:
    """What messages call the recipe at ``path``: its shipped name, or else the path itself."""
    try:
        shipped = path.resolve().relative_to(recipes_folder().resolve())
    except (ConfigError, OSError, ValueError):
        return str(path)
    return shipped.with_suffix("").as_posix()
