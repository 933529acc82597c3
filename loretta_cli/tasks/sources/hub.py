"""Data sets of the Hugging Face hub.

Imports errors, the hub's refusals, files and rows; datasets only when one is read.
"""

from __future__ import annotations

import re

from loretta_cli.errors import DataError
from loretta_cli.models.hub import refusal
from loretta_cli.tasks.sources.files import FORMATS, SPLIT_NAMES, describe, describe_hold_out
from loretta_cli.tasks.sources.rows import Row, Splits, hold_out

_HUB_ID = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(?::(?P<config>[^/\\]+))?")
_REASON_CHARACTERS = 300


def is_hub_id(source: str) -> bool:
    """Whether ``source`` has the form ``org/name`` or ``org/name:config``."""
    return _HUB_ID.fullmatch(source) is not None


def load_hub(
    source: str, *, validation_fraction: float, seed: int, validation_split: str = "validation"
) -> Splits:
    """Read a data set of the hub; where it has no validation split, a share of train is held out.

    Args:
        source: ``org/name`` or ``org/name:config``.
        validation_fraction: The share of train rows to hold out where there is no validation split.
        seed: Chooses which rows are held out.
        validation_split: The split to validate on where the data set has it (``test`` of some benchmarks).

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
    names = (validation_split, *SPLIT_NAMES["validation"])
    validation = next((splits[name] for name in names if splits.get(name)), ())
    others = {name: splits.get(name, ()) for name in ("test", "validation_mismatched")}
    if validation:
        parts = {"train": train, "validation": validation, **others}
        return Splits(**parts, description=describe(parts))
    name = train[0].file
    train, validation = hold_out(train, validation_fraction, seed)
    told = [describe_hold_out(train, validation, name, seed), describe(others)]
    return Splits(train, validation, **others, description=", ".join(part for part in told if part))


def _download(source: str) -> dict[str, tuple[Row, ...]]:
    import datasets

    match = _HUB_ID.fullmatch(source)
    if match is None:
        raise DataError(f"{source!r} is not a hub data set id; expected org/name or org/name:config.")
    datasets.disable_progress_bars()
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
        raise _unreadable(source, match["name"], _told_again(error, match["name"])) from error


def _told_again(error: Exception, name: str) -> Exception:
    """The hub's own refusal of a data set, which ``datasets`` replaces by a sentence without cause."""
    import datasets
    import huggingface_hub

    is_refusal = isinstance(error, datasets.exceptions.DatasetNotFoundError)
    if not is_refusal:
        return error
    try:
        huggingface_hub.auth_check(name, repo_type="dataset")
    except Exception as refused:  # of the hub or of the way to it
        return refused
    return error


def _unreadable(source: str, name: str, error: Exception) -> DataError:
    """The error for what looks like a hub id, and could not be read as one."""
    refused = refusal("data set", name, error)
    if refused is None:
        return DataError(
            f"Cannot read the data set {source!r} of the hub: {_reason(error)}.",
            hint="Expected a data set that `datasets.load_dataset` reads without code of its own; "
            "org/name:config chooses one of its configs.",
        )
    if refused.is_final:
        return DataError(f"Cannot read the data set {source!r}: {refused.reason}.", hint=refused.hint)
    return DataError(
        f"Cannot read the data set {source!r}: it is neither a file nor a folder, and {refused.reason}.",
        hint=f"{refused.hint} For your own data, give the path of a folder or of a {FORMATS} file.",
    )


def _reason(error: Exception) -> str:
    reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return reason if len(reason) <= _REASON_CHARACTERS else reason[:_REASON_CHARACTERS] + "…"
