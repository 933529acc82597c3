"""The settings of a run that say something: given ones and those that are not the default, with their origin.

``origins.json`` in a run folder has the origin of every value that was given: "recipe NAME", "--set" or
"flag". Imports config and :mod:`artifacts.files`; no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loretta_cli.artifacts.files import read_text, write_json
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.config import Config, setting_fields

FILLED_IN = "filled in"
"""Nobody gave the value: it followed from model, data, method or preset."""
NOT_RECORDED = "not recorded"
"""The run is of a version that kept no origins, or a program gave the values."""
IN_THE_HEADER = ("model.name", "adapter.method", "task.name", "task.names", "output.dir")
"""Said of a run anyway."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a run.

    Args:
        key: Dotted.
        value: As in ``config.yaml``.
        origin: Where it was given, :data:`FILLED_IN` or :data:`NOT_RECORDED`.
    """

    key: str
    value: object
    origin: str

    @property
    def shown(self) -> str:
        """The value in words."""
        return shown(self.value)


def write_origins(run: RunFolder, origins: Mapping[str, str]) -> None:
    """Record where the values of a new run were given."""
    write_json(run.origins_file, {"schema_version": 1, "origins": dict(origins)})


def settings_of(run: RunFolder, config: Config) -> list[Setting]:
    """The settings that were given, then those that differ from the default; without model, method and task.

    Args:
        run: Its folder.
        config: Its config.
    """
    origins = _origins(run)
    given, others = [], []
    for key, field in setting_fields().items():
        value = value_of(config, key)
        if key in IN_THE_HEADER:
            continue
        if origins is not None and key in origins:
            given.append(Setting(key, value, origins[key]))
        elif value is not None and value != field.get_default(call_default_factory=True):
            others.append(Setting(key, value, NOT_RECORDED if origins is None else FILLED_IN))
    return given + others


def differing(configs: Sequence[Config]) -> dict[str, list[object]]:
    """The settings in which runs differ: of each the values, in the order of the runs.

    Args:
        configs: Of two runs or more.
    """
    values = {key: [value_of(config, key) for config in configs] for key in setting_fields()}
    return {
        key: found
        for key, found in values.items()
        if key != "output.dir" and any(value != found[0] for value in found)
    }


def value_of(config: Config, key: str) -> object:
    """The value of a dotted key."""
    value: object = config
    for part in key.split("."):
        value = getattr(value, part)
    return value


def shown(value: object) -> str:
    """A value in words."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _origins(run: RunFolder) -> dict[str, str] | None:
    try:
        origins = json.loads(read_text(run.origins_file))["origins"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return {str(key): str(origin) for key, origin in origins.items()} if isinstance(origins, dict) else None
