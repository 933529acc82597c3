"""Data sets of the Hugging Face hub. Imports errors, files and rows; datasets only when one is read."""

from __future__ import annotations

import re

from loretta_cli.errors import DataError
from loretta_cli.tasks.sources.files import FORMATS, SPLIT_NAMES, describe, describe_hold_out
from loretta_cli.tasks.sources.rows import Row, Splits, hold_out

_HUB_ID = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(?::(?P<config>[^/\\]+))?")
# MNLI of the hub has two validation sets; the matched one is what its reports mean by "validation".
_VALIDATION_NAMES = (*SPLIT_NAMES["validation"], "validation_matched")
_REASON_CHARACTERS = 300


def is_hub_id(source: str) -> bool:
    """Whether ``source`` has the form ``org/name`` or ``org/name:config``."""
    return _HUB_ID.fullmatch(source) is not None


def load_hub(source: str, *, validation_fraction: float, seed: int) -> Splits:
    """Read a data set of the hub; where it has no validation split, a share of train is held out.

    Args:
        source: ``org/name`` or ``org/name:config``.
        validation_fraction: The share of train rows to hold out where there is no validation split.
        seed: Chooses which rows are held out.

    Returns:
        The splits.

    Raises:
        DataError: If the data set cannot be had, or has no train rows.

    """
    splits = _download(source)
    train = splits.get("train", ())
    if not train:
        found = ", ".join(splits) or "nothing"
        raise DataError(f"The hub data set {source!r} has no train rows; its splits are {found}.")
    validation = next((splits[name] for name in _VALIDATION_NAMES if splits.get(name)), ())
    test = splits.get("test", ())
    if validation:
        return Splits(
            train, validation, test, describe({"train": train, "validation": validation, "test": test})
        )
    name = train[0].file
    train, validation = hold_out(train, validation_fraction, seed)
    parts = [describe_hold_out(train, validation, name, seed), describe({"test": test})]
    return Splits(train, validation, test, ", ".join(part for part in parts if part))


def _download(source: str) -> dict[str, tuple[Row, ...]]:
    import datasets

    match = _HUB_ID.fullmatch(source)
    if match is None:
        raise DataError(f"{source!r} is not a hub data set id; expected org/name or org/name:config.")
    try:
        loaded = datasets.load_dataset(match["name"], match["config"])
        return {
            str(split): tuple(
                Row(dict(values), f"{source}/{split}", number) for number, values in enumerate(data, start=1)
            )
            for split, data in loaded.items()
        }
    # The library lets through errors of its network, file and parsing layers, which share no base class.
    except Exception as error:
        raise DataError(
            f"{source!r} is neither a file nor a folder, and reading it as a data set of the hub failed: "
            f"{_reason(error)}.",
            hint="Check the spelling and the network; a private or gated data set needs `hf auth login`. "
            f"For your own data, give the path of a folder or of a {FORMATS} file.",
        ) from error


def _reason(error: Exception) -> str:
    reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return reason if len(reason) <= _REASON_CHARACTERS else reason[:_REASON_CHARACTERS] + "…"
