"""The shipped recipes: where they are, what they are called, what they are about, and copies of them.

Imports :mod:`replacing` and :mod:`errors` only.
"""

from __future__ import annotations

import difflib
import os.path
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from loretta_cli.errors import ConfigError, OutputError
from loretta_cli.replacing import replacing

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
    raise ConfigError(found, hint=_hint(name, shipped_recipes()))


def matching_recipes(pattern: str | None) -> list[str]:
    """Names of the shipped recipes that a pattern finds, sorted.

    Args:
        pattern: A glob (``paper/table1-*``) for the whole name, or a part of the name, in any case; None
            finds all.

    Raises:
        ConfigError: If it finds none, with the nearest names and parts of names.
    """
    names = shipped_recipes()
    wanted = (pattern or "").casefold()
    is_glob = any(sign in wanted for sign in "*?[")
    found = [
        name
        for name in names
        if (fnmatchcase(name.casefold(), wanted) if is_glob else wanted in name.casefold())
    ]
    if found:
        return found
    literal = (re.split(r"[*?\[]", wanted)[0] or wanted).rstrip("-/")
    parts = {part for name in names for part in (name, *re.split("[-/]", name), *_openings(name))}
    raise ConfigError(
        f"No recipe is called like {pattern!r}.", hint=_hint(literal, {literal} & parts or parts)
    )


def recipe_about(path: Path) -> str:
    """The first sentence of a recipe's head comment, without its full stop; empty if there is none.

    Raises:
        ConfigError: If the file cannot be read.
    """
    comment = []
    for line in read_recipe(path).splitlines():
        text = line.removeprefix("#").strip()
        if not line.startswith("#") or not text:
            break
        comment.append(text)
    return re.split(r"[.!?](?=\s|$)", " ".join(comment), maxsplit=1)[0]


def read_recipe(path: Path) -> str:
    """The text of a recipe as it stands in its file.

    Raises:
        ConfigError: If the file cannot be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The recipe {path} cannot be read: {error}.", hint="Check the path, and save the file as UTF-8."
        ) from error


def copy_recipe(name_or_path: str, target: Path, *, overwrite: bool = False) -> Path:
    """Write a copy of a recipe; ``target`` is never half written.

    Args:
        name_or_path: As :func:`find_recipe` takes it.
        target: The new file, or a folder that is there.
        overwrite: Replace a file that is there.

    Returns:
        The file written.

    Raises:
        ConfigError: If there is no such recipe.
        OutputError: If ``target`` is there already, is no YAML file, or cannot be written.
    """
    source = find_recipe(name_or_path)
    target = target / f"{source.stem}.yaml" if target.is_dir() else target
    if target.suffix not in _SUFFIXES:
        raise OutputError(
            f"A recipe's name ends in .yaml, found {str(target)!r}.", hint=f"Write {target.name}.yaml."
        )
    if target.exists() and not overwrite:
        raise OutputError(f"The file {target} exists.", hint="Choose another path, or add --overwrite.")
    text = read_recipe(source)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as unfinished:
            unfinished.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise OutputError(
            f"The recipe cannot be written to {target}: {error.strerror or error}.",
            hint="Check that you may write there.",
        ) from error
    return target


def _openings(name: str) -> Iterable[str]:
    """Every part of a name that begins it and ends before a dash: "paper/table2", "paper/table2-boolq"."""
    return (name[: dash.start()] for dash in re.finditer("-", name))


def _hint(name: str, known: Iterable[str]) -> str:
    """The nearest names, and where all of them stand."""
    if "=" in name:
        return f"Settings are given as --set {name}."
    near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.6)
    question = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    return f"{question}`loretta recipes list` shows all recipes."


def recipe_name(path: Path) -> str:
    """What messages call the recipe at ``path``: its shipped name, or else the path itself."""
    try:
        shipped = path.resolve().relative_to(recipes_folder().resolve())
    except (ConfigError, OSError, ValueError):
        return str(path)
    return shipped.with_suffix("").as_posix()
