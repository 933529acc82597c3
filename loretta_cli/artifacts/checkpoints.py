"""Checkpoints that are whole: written beside their place, marked with the checksum of every file, renamed.

A checkpoint that a crash tore in two never gets its name. One that was damaged later has a marker that does
not fit, and is never resumed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from loretta_cli.artifacts.files import sha256, take_place, write_json

MARKER = "complete.json"
UNFINISHED = ".unfinished"
"""Folder below that of the checkpoints, for the one that is being written."""


def name_of(step: int) -> str:
    """The folder of the checkpoint of a step."""
    return f"checkpoint-{step}"


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """A folder to write checkpoints below, on the same file system as ``folder``; it is gone afterwards.

    Args:
        folder: Of all checkpoints.
    """
    unfinished = folder / UNFINISHED
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def put_in_place(written: Path, folder: Path) -> Path:
    """Mark a checkpoint that is wholly written, have the disk keep it, and give it its name.

    Args:
        written: The checkpoint, below :data:`UNFINISHED`.
        folder: Of all checkpoints.

    Returns:
        Where it is now; one of the same step is replaced.
    """
    mark_complete(written)
    for path in [*written.rglob("*"), written]:
        _sync(path)
    final = folder / written.name
    if final.exists():
        take_place(written, final)
    else:
        written.rename(final)
    _sync(folder)
    return final


def prune(folder: Path, *, keep: int, spare: Collection[int] = ()) -> None:
    """Remove all checkpoints but the last ``keep``.

    Args:
        folder: Of all checkpoints.
        keep: How many.
        spare: Steps whose checkpoints stay as well.
    """
    for checkpoint in sorted(_checkpoints(folder), key=step_of)[:-keep]:
        if step_of(checkpoint) not in spare:
            # Its marker goes first: a removal that is cut off must not leave a checkpoint that seems whole.
            (checkpoint / MARKER).unlink(missing_ok=True)
            shutil.rmtree(checkpoint)


def mark_complete(checkpoint: Path) -> None:
    """Write the marker of a checkpoint whose files are all there."""
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file() and path.name != MARKER)
    write_json(
        checkpoint / MARKER, {"sha256": {str(path.relative_to(checkpoint)): sha256(path) for path in files}}
    )


def is_complete(checkpoint: Path) -> bool:
    """Whether the marker is there and every file it names has its checksum."""
    try:
        sums = json.loads((checkpoint / MARKER).read_text(encoding="utf-8"))["sha256"]
        return all(sha256(checkpoint / name) == expected for name, expected in sums.items())
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return False


def last_complete(folder: Path) -> Path | None:
    """The complete checkpoint with the highest step below a folder, or None."""
    for checkpoint in sorted(_checkpoints(folder), key=step_of, reverse=True):
        if is_complete(checkpoint):
            return checkpoint
    return None


def step_of(checkpoint: Path) -> int:
    """The step in a checkpoint's name."""
    return int(checkpoint.name.removeprefix("checkpoint-"))


def _checkpoints(folder: Path) -> list[Path]:
    return [path for path in folder.glob("checkpoint-*") if path.name.removeprefix("checkpoint-").isdigit()]


def _sync(path: Path) -> None:
    """Have what was written survive a power cut; of folders, where the system lets them be opened."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
