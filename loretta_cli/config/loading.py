"""From a recipe, ``--set`` options and flags to one checked ``Config``, and a run's config to and from disk.

A flag wins over ``--set``, which wins over the recipe, which wins over the default. All faults are
reported together. Imports the rest of this room, pydantic and PyYAML.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from loretta_cli.config.faults import Fault, Given, config_error, unknown_key, value_faults
from loretta_cli.config.kinds import Escaped
from loretta_cli.config.recipes import recipe_name
from loretta_cli.config.schema import Config, section_keys, setting_fields
from loretta_cli.config.wording import is_text, shown, takes_text
from loretta_cli.config.yaml_files import parse_yaml, read_mapping
from loretta_cli.errors import ConfigError, OutputError
from loretta_cli.replacing import replacing

if TYPE_CHECKING:
    from pathlib import Path

_NULLS = ("null", "Null", "NULL", "~")
# Opening characters of quoted text, lists, mappings and tags.
_YAML_OPENINGS = ("'", '"', "[", "{", "!")
_QUOTED = re.compile(r"'([^']|'')*'" + r'|"([^"\\]|\\.)*"')
_ESCAPES = {r"\n": "\n", r"\t": "\t", "\\\\": "\\"}


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A checked config and where its values were given.

    Args:
        config: The settings.
        origins: "recipe NAME", "grid", "--set" or "flag" for the dotted key of every given value; a key
            that is missing has its default.
    """

    config: Config
    origins: dict[str, str]


class _Values:
    """Given values by dotted key, later ones over earlier ones, and the faults met on the way."""

    def __init__(self) -> None:
        self.given: dict[str, Given] = {}
        self.faults: list[Fault] = []

    def place(self, key: str, value: object, origin: str) -> None:
        """Note one value; a mapping for a group of settings is taken apart."""
        if key in setting_fields():
            value = os.fspath(value) if isinstance(value, os.PathLike) else value
            self.given[key] = Given(value, origin)
        elif key not in section_keys():
            self.faults.append(unknown_key(key, origin))
        elif isinstance(value, Mapping):
            self.place_all(value, origin, prefix=f"{key}.")
        elif value is not None:  # a heading whose lines are all commented out is nothing wrong
            wanted = "expected a section with settings below it"
            self.faults.append(Fault(f"{key}: found {shown(value)} ({origin}), {wanted}"))

    def place_all(self, mapping: Mapping[Any, object], origin: str, *, prefix: str = "") -> None:
        """Note all values of a mapping as YAML gives it."""
        for name, value in mapping.items():
            key = f"{prefix}{name}"
            known = key in setting_fields() or key in section_keys()
            if known and "." in str(name):
                nested = " ".join(f"{part}:" for part in key.split("."))
                self.faults.append(
                    Fault(f"{key}: a key with dots ({origin})", f"Write it nested, indented: {nested}")
                )
            else:
                self.place(key, value, origin)

    def place_override(self, override: str) -> None:
        """Note ``key.path=value``, the value in YAML."""
        key, equals, text = (part.strip() for part in override.partition("="))
        if not equals or not key or not text:
            lacks = "'='" if not equals else "a key before '='" if not key else "a value after '='"
            advice = "Write null to take back a value." if key and equals else ""
            self.faults.append(Fault(f"--set {override!r} lacks {lacks}, expected key.path=value", advice))
            return
        try:
            self.place(key, _override_value(key, text), "--set")
        except ConfigError as error:
            self.faults.append(Fault(error.message.removesuffix("."), error.hint))

    def config(self) -> Config:
        """The checked config.

        Raises:
            ConfigError: With every fault, those noted before included.
        """
        nested: dict[str, Any] = {}
        for key, given in self.given.items():
            *groups, name = key.split(".")
            group = nested
            for part in groups:
                group = group.setdefault(part, {})
            group[name] = given.value
        try:
            config = Config.model_validate(nested)
        except ValidationError as error:
            raise config_error(self.faults + value_faults(error, self.given)) from None
        if self.faults:
            raise config_error(self.faults)
        return config


def _override_value(key: str, text: str) -> object:
    """The value in ``key=text``, as YAML reads it; text that does not look like YAML as it stands.

    Where nothing but text is taken, only what stands in quotes (or begins with a tag) looks like YAML, so
    that a template may begin with a column: ``{question}``.
    """
    field = setting_fields().get(key)
    if field is None or not takes_text(field) or text in _NULLS:
        return parse_yaml(text, f"--set {key}")
    is_quoted = _QUOTED.fullmatch(text) or text.startswith("!")
    if is_quoted if is_text(field) else text.startswith(_YAML_OPENINGS):
        return parse_yaml(text, f"--set {key}")
    if any(isinstance(mark, Escaped) for mark in field.metadata):
        return re.sub(r"\\[nt\\]", lambda found: _ESCAPES[found[0]], text)
    return text


def load_config(
    recipe: Path | None = None,
    flags: Mapping[str, object] | None = None,
    overrides: Sequence[str] = (),
    *,
    grid: Mapping[str, object] | None = None,
) -> LoadedConfig:
    """The config that a recipe, flags and ``--set`` options ask for together.

    Args:
        recipe: A YAML file, or None.
        flags: Values by dotted key; None means that the flag was not given.
        overrides: ``key.path=value`` each, the value in YAML; a later one wins.
        grid: Values by dotted key of one cell of a grid; they win over the recipe only.

    Raises:
        ConfigError: With every fault, each with its key and where it was given.
    """
    values = _Values()
    if recipe is not None:
        values.place_all(read_mapping(recipe, "recipe"), f"recipe {recipe_name(recipe)}")
    for key, value in (grid or {}).items():
        values.place(key, value, "grid")
    for override in overrides:
        values.place_override(override)
    for key, value in (flags or {}).items():
        if value is not None:
            values.place(key, value, "flag")
    config = values.config()
    return LoadedConfig(config, {key: given.origin for key, given in values.given.items()})


def read_run_config(path: Path) -> Config:
    """The config that a run was made with.

    Args:
        path: The ``config.yaml`` in the run's folder.

    Raises:
        ConfigError: If it is missing or has been damaged.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ConfigError(f"The run config {path} is a pipe or a device; expected a file.")
    values = _Values()
    values.place_all(read_mapping(path, "run config"), f"run config {path}")
    return values.config()


def write_config(config: Config, path: Path) -> None:
    """Write every setting of ``config`` as YAML, in the schema's order; ``path`` is never half written.

    Raises:
        OutputError: If it cannot be written.
    """
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)
    try:
        with replacing(path) as unfinished:
            unfinished.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise OutputError(
            f"The config cannot be written to {path}: {error.strerror or error}.",
            hint="Check that the folder exists and that you may write to it.",
        ) from error


def contradictions(saved: Config, asked: LoadedConfig) -> list[str]:
    """What is asked for now and differs from the run, a sentence each.

    Left out are values that leave the choice to the run (``None``, "auto"), and ``output.dir``, which
    says where the run lies: its folder may have been moved.

    Args:
        saved: The run's config.
        asked: What recipe, flags and ``--set`` say now; only given values count.
    """
    sentences = []
    for key in setting_fields():
        origin = asked.origins.get(key)
        old, new = (_comparable(key, _value_at(config, key)) for config in (saved, asked.config))
        if origin is None or key == "output.dir" or new in (None, "auto") or old == new:
            continue
        place = f"in {origin}" if origin.startswith("recipe") else "on the command line"
        sentences.append(f"{key} is {shown(old)} in the run and {shown(new)} {place}")
    return sentences


def _comparable(key: str, value: object) -> object:
    """A value of which the order plays no part where it plays none."""
    if key in ("adapter.target_modules", "adapter.exclude_modules") and isinstance(value, list):
        return sorted(value)
    return value


def _value_at(config: Config, key: str) -> object:
    value: object = config
    for part in key.split("."):
        value = getattr(value, part)
    return value
