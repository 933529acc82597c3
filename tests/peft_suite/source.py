"""PEFT's own test files: fetched by pip once for each version, kept in the user's cache.

PEFT's source distribution carries its ``tests`` folder; the wheel does not. Nothing of it is copied into this
repository.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

PACKAGE = "peft_tests"
"""What the ``tests`` folder of the distribution is called here; ``tests`` is our own."""
SECONDS_TO_FETCH = 120


class SourceUnavailableError(Exception):
    """The source distribution cannot be had here, for example because there is no network."""


def peft_tests() -> Path:
    """The folder with the test files of the installed PEFT version, fetched if it is not in the cache.

    Raises:
        SourceUnavailableError: If it is not in the cache and cannot be fetched.
    """
    home = cache_folder() / f"peft-{version('peft')}"
    if not home.is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
            fresh = Path(scratch) / "fresh"
            unpack(download(version("peft"), Path(scratch)), fresh)
            try:
                fresh.rename(home)
            except OSError:  # another process was faster
                if not home.is_dir():
                    raise
    return home / PACKAGE


def cache_folder() -> Path:
    """``loretta`` in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loretta"


def download(peft_version: str, folder: Path) -> Path:
    """Have pip download the source distribution of a PEFT version; returns the archive.

    Raises:
        SourceUnavailableError: With the last line of pip's complaint.
    """
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--no-input",
        "--disable-pip-version-check",
    ]
    command += ["--no-binary", "peft", f"peft=={peft_version}", "--dest", str(folder)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=SECONDS_TO_FETCH, cwd=folder
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SourceUnavailableError(f"pip could not fetch PEFT's source distribution: {error}") from error
    archives = sorted(folder.glob("peft-*.tar.gz"))
    if done.returncode != 0 or not archives:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise SourceUnavailableError(f"pip could not fetch PEFT's source distribution: {last}")
    return archives[0]


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the test files of a source distribution into ``folder/peft_tests``, as a Python package.

    Raises:
        SourceUnavailableError: If the archive has no tests.
    """
    package = folder / PACKAGE
    package.mkdir(parents=True)
    with tarfile.open(archive) as opened:
        for member in opened.getmembers():
            parts = Path(member.name).parts
            if len(parts) == 3 and parts[1] == "tests" and parts[2].endswith(".py"):
                source = opened.extractfile(member)
                if source is not None:
                    (package / parts[2]).write_bytes(source.read())
    if not any(package.iterdir()):
        raise SourceUnavailableError(f"{archive.name} carries no tests.")
    (package / "__init__.py").touch()
