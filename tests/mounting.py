"""Scripts with a small file system of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import child_environment

# Run under `unshare`: mounts a file system of its own that only this process sees.
MOUNTED = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"'


def python_on_mount(options: str, folder: Path, script: str, *arguments: str) -> str:
    """Run a script with an own file system mounted at a new folder; returns its stdout.

    Skips where mounting is not allowed.

    Args:
        options: Of the mount: ``ro``, ``size=24k``.
        folder: Is made.
        script: Python.
        arguments: ``sys.argv[1:]`` of it.
    """
    folder.mkdir()
    prefix = ["unshare", "--mount", "sh", "-c", MOUNTED, "sh", options, str(folder)]
    try:
        able = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        able = False
    if not able:
        pytest.skip("mounting a file system is not allowed here")
    done = subprocess.run(
        [*prefix, sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        env=child_environment(),
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    return done.stdout
