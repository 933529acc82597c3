"""The settings of a LoRA as PEFT wrote them, checked one by one: PEFT takes whatever its file says."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from peft import LoraConfig

from loretta_cli.artifacts.adapter_files import SETTINGS
from loretta_cli.errors import ConfigError, RunError


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_rank(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_share(value: object) -> bool:
    return _is_number(value) and 0 <= cast("float", value) < 1


def _is_pattern(of: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or (isinstance(value, dict) and all(map(of, value.values())))


def _is_names(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(name, str) for name in value))


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


_EXPECTED: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "r": (_is_rank, "a whole number of at least 1"),
    "lora_alpha": (_is_number, "a number"),
    "lora_dropout": (_is_share, "a number from 0 to below 1"),
    "rank_pattern": (_is_pattern(_is_rank), "names with whole numbers of at least 1"),
    "alpha_pattern": (_is_pattern(_is_number), "names with numbers"),
    "modules_to_save": (_is_names, "a list of names"),
    "target_modules": (lambda value: _is_text(value) or _is_names(value), "a list of names, or a text"),
    "exclude_modules": (lambda value: _is_text(value) or _is_names(value), "a list of names, or a text"),
    "base_model_name_or_path": (_is_text, "a text"),
    "revision": (_is_text, "a text"),
    "task_type": (_is_text, "a text"),
}
"""What is read of a LoRA's settings, and what each is to be."""


def read_lora_settings(folder: Path) -> LoraConfig:
    """The config of a LoRA, whose files have been looked at.

    Args:
        folder: In PEFT's layout.

    Raises:
        RunError: If a value is none that it can have.
        ConfigError: If it is another adapter, or has settings of a newer PEFT, which may change what it is.
    """
    file = folder / SETTINGS
    written: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    kind = written["peft_type"]
    if kind != "LORA":
        raise ConfigError(
            f"Only a LoRA is compressed; the adapter in {folder} is {kind}.",
            hint="Expected peft_type LORA in its adapter_config.json.",
        )
    for name, (is_right, expected) in _EXPECTED.items():
        if name in written and not is_right(written[name]):
            raise RunError(
                f"{file} has {name}: {json.dumps(written[name])[:100]}; expected {expected}.",
                hint="It is damaged; get it again.",
            )
    known = {field.name for field in dataclasses.fields(LoraConfig)}
    unknown = sorted(name for name, value in written.items() if name not in known and value)
    if unknown:
        raise ConfigError(
            f"The LoRA in {folder} has settings that the installed PEFT does not know: {', '.join(unknown)}.",
            hint="It was made with another version of PEFT; without them it may be another adapter. Remove "
            "them from its adapter_config.json if they change nothing.",
        )
    try:
        settings = {name: value for name, value in written.items() if name in known}
        return cast("LoraConfig", cast("Any", LoraConfig).from_peft_type(**settings))
    except Exception as error:  # of PEFT's, each setting has kinds of its own
        raise RunError(
            f"PEFT cannot read {file}: {' '.join(str(error).split())[:200]}",
            hint="It is damaged; get it again.",
        ) from error
