"""Writing files and folders so that nothing half-written is ever found under its final name."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loretta_cli.errors import LorettaError, OutputError
from loretta_cli.replacing import replacing

NEXT_TO_NOTHING = 64 * 1024
"""Bytes: with less than this free, a file system counts as full."""


REFUSALS_TO_WRITE = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO),
    *(errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP),
}
"""A missing file is none of them: that is something that could not be read."""


@contextlib.contextmanager
def new_folder(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Fill a temporary folder beside ``target``; it gets its name when the block ends well.

    Args:
        target: The final folder.
        replace: Put it in the place of an existing folder.

    Raises:
        OutputError: If the place cannot be written, or is taken and ``replace`` is false.
    """
    check_new_folder(target, replace=replace)
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        with explained(target):
            yield temporary
            _give_usual_mode(temporary)
            if target.exists():
                take_place(temporary, target)
            else:
                temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_new_folder(target: Path, *, replace: bool = False) -> None:
    """Refuse early a folder that cannot be made.

    Raises:
        OutputError: If it exists with files in it and may not be replaced, is a file, or cannot be
            written.
    """
    with explained(target):
        if target.exists() and not target.is_dir():
            raise OutputError(
                f"The output {target} is a file; expected a folder.", hint="Choose another --output."
            )
        if target.is_dir() and not replace and any(target.iterdir()):
            raise OutputError(
                f"The output folder {target} exists and is not empty.", hint="Choose another --output."
            )
        check_writable(target)


def check_writable(target: Path) -> None:
    """Refuse a place whose nearest existing parent cannot be written.

    Raises:
        OutputError: Naming that parent.
    """
    parent = target.absolute()
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise OutputError(
            f"The output {target} cannot be written: {parent} is a file.", hint="Choose another --output."
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(
            f"The output {target} cannot be written: no permission to write in {parent}.",
            hint="Choose another --output.",
        )


@contextlib.contextmanager
def explained(target: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into an :class:`OutputError`."""
    try:
        yield
    except OSError as error:
        # numpy's errors of short writes have no number.
        number = errno.ENOSPC if error.errno is None and _is_full(target) else error.errno
        if number not in REFUSALS_TO_WRITE:
            raise
        raise OutputError(
            f"Cannot write {target}: {os.strerror(number)}.",
            hint="Free the place, or choose another --output.",
        ) from error
    except LorettaError:
        raise
    except Exception as error:
        # torch and safetensors say by errors of their own, in many words, that a disk is full; it may have
        # room again by now, where what was too long has been taken away.
        if not (_is_full(target) or f"(os error {errno.ENOSPC})" in str(error)):
            raise
        raise OutputError(
            f"Cannot write {target}: {os.strerror(errno.ENOSPC)}.",
            hint="Make room, or choose another --output.",
        ) from error


def _is_full(target: Path) -> bool:
    """Whether the file system that ``target`` lies on has next to no room left."""
    parent = target.absolute()
    while not parent.exists():
        parent = parent.parent
    return shutil.disk_usage(parent).free < NEXT_TO_NOTHING


def read_bytes(path: Path) -> bytes:
    """The bytes of a file of a run, which may be a stranger's: a pipe would block, a device never end.

    Raises:
        OSError: If it cannot be read, or is no regular file.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is a folder, a pipe or a device", str(path))
    return path.read_bytes()


def read_text(path: Path) -> str:
    """As :func:`read_bytes`, as UTF-8.

    Raises:
        OSError: If it cannot be read, or is no regular file.
        UnicodeDecodeError: If it is not UTF-8.
    """
    return read_bytes(path).decode("utf-8")


def write_text(path: Path, text: str) -> None:
    """Write a text file under a temporary name, then rename it."""
    with explained(path), replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON under a temporary name, then rename it."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_bytes(folder: Path) -> int:
    """The size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def take_place(new: Path, target: Path) -> None:
    """Rename a folder to ``target``; the folder that was there goes, or comes back if that fails."""
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
    target.rename(aside / "old")
    try:
        new.rename(target)
    except OSError:
        (aside / "old").rename(target)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _give_usual_mode(folder: Path) -> None:
    """``mkdtemp`` makes a private folder; give it the mode that ``mkdir`` would."""
    mask = os.umask(0)
    os.umask(mask)
    folder.chmod(0o777 & ~mask)
