"""Whether a process is training a run now: a lock that the operating system lets go when the process ends.

A killed process, however it ended, holds no lock, so "running" is never a guess from dates. Where there are
no such locks (Windows, some network disks), nothing is known. Imports :mod:`errors` only.
"""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from loretta_cli.errors import RunError

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

LOCK = "running.lock"
# Whoever only looks holds a lock for an instant.
_TRIES, _SECONDS_BETWEEN = 20, 0.01


@contextlib.contextmanager
def running(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder within the block, so that no two processes write one run.

    Args:
        folder: It exists.

    Raises:
        RunError: If another process holds it.
    """
    file = _opened(folder / LOCK, "a")
    if file is None:
        yield
        return
    with file:
        if (mine := _lock_patiently(file)) is False:
            raise _busy(folder)
        try:
            yield
        finally:
            if mine:
                with contextlib.suppress(OSError):
                    (folder / LOCK).unlink(missing_ok=True)


def check_not_running(folder: Path) -> None:
    """Refuse a run folder that a process is training now.

    Raises:
        RunError: Naming the command that shows it.
    """
    if is_running(folder):
        raise _busy(folder)


def is_running(folder: Path) -> bool:
    """Whether a process, this one included, holds the lock of a run folder.

    Args:
        folder: A run, or any folder.
    """
    file = _opened(folder / LOCK, "r")
    if file is None:
        return False
    with file:
        return _lock(file, exclusive=False) is False


def _busy(folder: Path) -> RunError:
    return RunError(
        f"Another process is training the run {folder}.",
        hint=f"Wait until it has ended; how far it is: loretta show {shlex.quote(str(folder))}",
    )


def _opened(path: Path, mode: str) -> IO[str] | None:
    try:
        return None if fcntl is None else path.open(mode, encoding="utf-8")
    except OSError:
        return None


def _lock_patiently(file: IO[str]) -> bool | None:
    for _ in range(_TRIES):
        if (mine := _lock(file, exclusive=True)) is not False:
            return mine
        time.sleep(_SECONDS_BETWEEN)
    return False


def _lock(file: IO[str], *, exclusive: bool) -> bool | None:
    """Whether the lock was had; None where the file system has none. It is let go when the file is closed."""
    kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
