"""Decides what a data source is and reads it. Imports the other files of this folder."""

from __future__ import annotations

import difflib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from loretta_cli.errors import DataError
from loretta_cli.tasks.sources.bundled import PREFIX, find_bundled, load_bundled
from loretta_cli.tasks.sources.files import (
    SPLIT_NAMES,
    SUFFIXES,
    load_file,
    load_folder,
    load_folder_split,
    read_file,
    reader_of,
)
from loretta_cli.tasks.sources.hub import is_hub_id, load_hub
from loretta_cli.tasks.sources.text import unreadable

if TYPE_CHECKING:
    from loretta_cli.tasks.sources.rows import Row, Splits

EXPECTED = (
    "Give a folder with train and validation files, one data file, bundled:NAME, or a hub data set such as "
    "org/name."
)


def check_source(source: str, *, hub_id_allowed: bool = True) -> None:
    """Refuse a data source where nothing lies, or a file of an unknown kind, without reading it.

    Args:
        source: As for :func:`load_splits`.
        hub_id_allowed: Whether what is not on disk may be a hub data set, which is not looked up here.

    Raises:
        DataError: With the nearest name that is there.
    """
    if not source.strip():
        raise DataError("The data source is empty.", hint=EXPECTED)
    if source.startswith(PREFIX):
        find_bundled(source)
        return
    path = Path(os.path.expanduser(source))
    mode = _mode(path, source)
    if mode is None:
        if not hub_id_allowed or _looks_like_path(source, path) or not is_hub_id(source):
            raise DataError(f"{source}: no such file or folder.", hint=_nearest(path) or EXPECTED)
    elif not stat.S_ISDIR(mode):
        reader_of(path, source)


def load_splits(
    source: str,
    *,
    validation_fraction: float,
    seed: int,
    hub_id_allowed: bool = True,
    hub_validation: str = "validation",
) -> Splits:
    """Read a data source.

    Args:
        source: A folder with train, validation and perhaps test files; one file, of which a share is
            held out; ``bundled:NAME``; or a hub data set, ``org/name`` or ``org/name:config``. What
            exists on disk wins; what looks like a path is never looked up on the hub.
        validation_fraction: The share of rows to hold out where there is no validation split.
        seed: Chooses which rows are held out.
        hub_id_allowed: False refuses the look-up on the hub.
        hub_validation: The split of a hub data set to validate on, where it has it.

    Returns:
        Train, validation and test rows; only test may be empty.

    Raises:
        DataError: If the source does not exist, cannot be read, or has a fault.

    """
    check_source(source, hub_id_allowed=hub_id_allowed)
    if source.startswith(PREFIX):
        return load_bundled(source)
    path = Path(os.path.expanduser(source))
    mode = _mode(path, source)
    if mode is None:
        return load_hub(
            source, validation_fraction=validation_fraction, seed=seed, validation_split=hub_validation
        )
    if stat.S_ISDIR(mode):
        return load_folder(path, source)
    return load_file(path, source, validation_fraction=validation_fraction, seed=seed)


def load_split(
    source: str,
    split: str,
    *,
    validation_fraction: float,
    seed: int,
    whole_file: bool = False,
    hub_validation: str = "validation",
) -> tuple[Row, ...]:
    """Read the rows of one split, for an evaluation.

    Args:
        source: As for :func:`load_splits`; a folder needs only this split.
        split: One of :data:`SPLIT_NAMES`.
        validation_fraction: As for :func:`load_splits`.
        seed: As for :func:`load_splits`.
        whole_file: A source that is one file is the split; nothing is held out of it.
        hub_validation: As for :func:`load_splits`.

    Returns:
        At least one row.

    Raises:
        DataError: If the source has no such split, or has a fault.
    """
    path = Path(os.path.expanduser(source))
    if split not in SPLIT_NAMES:
        raise DataError(f"Unknown split {split!r}; expected {', '.join(SPLIT_NAMES)}.")
    mode = _mode(path, source) if source.strip() and not source.startswith(PREFIX) else None
    if mode is not None and stat.S_ISDIR(mode):
        return load_folder_split(path, source, split)
    if whole_file and mode is not None:
        return read_file(path, source)
    splits = load_splits(
        source, validation_fraction=validation_fraction, seed=seed, hub_validation=hub_validation
    )
    rows: tuple[Row, ...] = getattr(splits, split)
    if not rows:
        raise DataError(f"{source} has no rows in the split {split!r}.", hint="Choose another --split.")
    return rows


def _mode(path: Path, source: str) -> int | None:
    """Tell what kind of thing lies at ``path``: its mode, or None where nothing lies there."""
    try:
        return path.stat().st_mode
    except PermissionError as error:
        raise unreadable(source, error) from error
    except (OSError, ValueError):
        # ValueError: a NUL character; OSError also stands for a name too long to exist.
        return None


def _looks_like_path(source: str, path: Path) -> bool:
    return (
        source.startswith((".", "/", "~"))
        or path.suffix.lower() in SUFFIXES
        or ("/" in source and os.path.isdir(path.parent))
    )


def _nearest(path: Path) -> str:
    """Hint at the most similar name in the same folder, or return an empty string."""
    try:
        names = os.listdir(path.parent)
    except (OSError, ValueError):
        return ""
    # Without the endings, which make all names of data files alike.
    stems = {Path(name).stem: name for name in sorted(names, key=lambda name: name.endswith(path.suffix))}
    near = difflib.get_close_matches(path.stem, stems, n=1, cutoff=0.75)
    return f"Did you mean {path.with_name(stems[near[0]])}?" if near else ""
