"""What is wrong with the settings, in sentences, with the nearest right name.

Turns pydantic's errors and unknown keys into :class:`Fault` values, and all of them into one
``ConfigError``. Imports the schema and the wording of this room, :mod:`registry` and :mod:`errors`.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loretta_cli.config.kinds import OWN_SENTENCE
from loretta_cli.config.schema import section_keys, setting_fields
from loretta_cli.config.wording import choices, expected, shown, takes_text
from loretta_cli.errors import ConfigError
from loretta_cli.registry import suggest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import ValidationError
    from pydantic.fields import FieldInfo

_NAMES_ELSEWHERE = {
    "lr": "training.learning_rate",
    "lr_scheduler_type": "training.scheduler",
    "num_train_epochs": "training.epochs",
    "per_device_train_batch_size": "training.batch_size",
    "per_device_eval_batch_size": "training.evaluation_batch_size",
    "warmup_ratio": "training.warmup",
    "warmup_steps": "training.warmup",
    "eval_steps": "training.evaluate_every",
    "logging_steps": "training.log_every",
    "optim": "training.optimizer",
    "r": "adapter.bottleneck",
    "rank": "adapter.tt_rank",
    "lora_alpha": "adapter.alpha",
    "model_name_or_path": "model.name",
    "output_dir": "output.dir",
}
"""What transformers and PEFT call our settings, where no similar letters lead to them."""


@dataclass(frozen=True, slots=True)
class Given:
    """A value that the user gave.

    Args:
        value: As read, not yet checked.
        origin: Where it was given: "recipe NAME", "--set" or "flag".
    """

    value: object
    origin: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Args:
        sentence: Key, what was found and where, what was expected; without a full stop.
        advice: How to fix it ("Did you mean 'training.seed'?"), or an empty string.
        about: What the setting is for, or an empty string.
        alone: The message when it is the only fault; empty for the sentence with a full stop.
    """

    sentence: str
    advice: str = ""
    about: str = ""
    alone: str = ""


def config_error(faults: Sequence[Fault]) -> ConfigError:
    """One error for all ``faults``: a sentence for one, a heading and a list for several.

    Args:
        faults: At least one.

    Returns:
        The error, to be raised by the caller.
    """
    if len(faults) == 1:
        only = faults[0]
        return ConfigError(_printable(only.alone or f"{only.sentence}."), hint=only.advice or only.about)
    lines = [f"  - {fault.sentence}. {fault.advice}".rstrip() for fault in faults]
    return ConfigError(
        _printable("\n".join([f"{len(faults)} settings are wrong:", *lines])),
        hint="Correct every line; each names the key and where its value was given.",
        parts=[(f"{fault.sentence}.", fault.advice) for fault in faults],
    )


def _printable(message: str) -> str:
    # An argument that is not UTF-8 arrives with lone surrogates, which no terminal can be sent.
    return message.encode("utf-8", "backslashreplace").decode("utf-8")


def value_faults(error: ValidationError, given: Mapping[str, Given]) -> list[Fault]:
    """The faults that pydantic found, one for each setting however many errors it has.

    Args:
        error: From validating ``Config``.
        given: All values that were validated, by dotted key.
    """
    faults: dict[str, Fault] = {}
    for detail in error.errors(include_url=False):
        key = _setting_key(detail["loc"])
        if key not in faults and detail["type"] == OWN_SENTENCE:
            faults[key] = _own_sentence(key, given[key], detail["ctx"])
        elif key not in faults:
            faults[key] = _wrong_value(key, given[key])
    return list(faults.values())


def unknown_key(key: str, origin: str) -> Fault:
    """The fault of a dotted ``key`` that is no setting, with the nearest one that is."""
    parent = key.rpartition(".")[0]
    while parent and parent not in section_keys():
        if parent in setting_fields():
            sentence = f"{key} ({origin}): {parent} holds one value and has no keys below it"
            is_list = "list of" in expected(setting_fields()[parent])
            return Fault(sentence, f"Give the whole list: {parent}=[..., ...]." if is_list else "")
        parent = parent.rpartition(".")[0]
    sentence = f"{key}: unknown key ({origin})"
    near = _nearest_keys(key, parent)
    if near:
        return Fault(sentence, f"Did you mean {' or '.join(map(repr, near))}?")
    name = key.removeprefix(f"{parent}.")
    plural = f"keys of {parent}" if parent else "sections"
    return Fault(sentence, suggest(name, keys_below(parent), plural=plural))


def settings_called(name: str, *, exactly: bool = False) -> list[str]:
    """The settings that are called ``name`` here, in transformers or in PEFT, or else nearly so.

    Args:
        name: A single word, without the section.
        exactly: Leave out those that are only similar.
    """
    near = _nearest_keys(name, "")
    if exactly and name not in _NAMES_ELSEWHERE:
        near = [key for key in near if key.rpartition(".")[2] == name]
    return [key for key in near if key in setting_fields()]


def keys_below(section: str) -> list[str]:
    """Names of the settings and groups directly below ``section`` ("" for the top)."""
    prefix = f"{section}." if section else ""
    below = [key.removeprefix(prefix) for key in _all_keys() if key.startswith(prefix)]
    return [name for name in below if "." not in name]


def _all_keys() -> list[str]:
    return [*section_keys(), *setting_fields()]


def _nearest_keys(key: str, parent: str) -> list[str]:
    """The keys most likely meant: the same name elsewhere, then similar ones nearby, then anywhere."""
    name = key.rpartition(".")[2]
    same_name = [known for known in setting_fields() if known.rpartition(".")[2] == name]
    if same_name:
        return same_name
    if name in _NAMES_ELSEWHERE:
        return [_NAMES_ELSEWHERE[name]]
    prefix = f"{parent}." if parent else ""
    nearby = difflib.get_close_matches(key.removeprefix(prefix), keys_below(parent), n=1)
    if nearby:
        return [prefix + nearby[0]]
    by_name = {known.rpartition(".")[2]: known for known in setting_fields()}
    anywhere = difflib.get_close_matches(name, by_name, n=1)
    if anywhere:
        return [by_name[anywhere[0]]]
    # A misspelt section. Below a right one, the section alone would make any two keys look alike.
    return [] if parent else difflib.get_close_matches(key, _all_keys(), n=1)


def _setting_key(location: tuple[int | str, ...]) -> str:
    """The setting that pydantic's ``location`` lies in (it goes on into list items and union members)."""
    key = ""
    for part in location:
        key = f"{key}.{part}" if key else str(part)
        if key in setting_fields():
            break
    return key


def _own_sentence(key: str, given: Given, context: Mapping[str, object]) -> Fault:
    return Fault(
        f"{key} ({given.origin}): {context['sentence']}",
        advice=str(context.get("hint", "")),
        about=_about(key),
    )


def _wrong_value(key: str, given: Given) -> Fault:
    field = setting_fields()[key]
    sentence = f"{key}: found {shown(given.value)} ({given.origin}), expected {expected(field)}"
    return Fault(sentence, advice=_advice(field, given.value), about=_about(key))


def _about(key: str) -> str:
    return f"{key}: {setting_fields()[key].description}"


def _advice(field: FieldInfo, value: object) -> str:
    """What to write instead, where the value shows it."""
    if isinstance(value, str):
        near = difflib.get_close_matches(value.lower(), choices(field), n=1)
        return f"Did you mean {near[0]!r}?" if near else ""
    items = value if isinstance(value, list) else [value]
    known = choices(field)
    for item in (one for one in items if isinstance(one, str) and one not in known):
        if near := difflib.get_close_matches(item.lower(), known, n=1):
            return f"Did you mean {near[0]!r}?"
    if any(isinstance(item, bool | int | float) for item in items) and takes_text(field, in_lists=True):
        return "Put the value in quotes to make it text."
    return ""
