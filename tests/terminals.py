"""A command at a terminal of its own, as a person has it: what they type, and all that they see.

Imports no pytest. Only where the system has such terminals.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.command_line import child_environment

LONGEST = 120.0
"""Seconds after which a command that says nothing more has failed."""
_CODES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def at_terminal(
    arguments: Sequence[object], typed: Sequence[tuple[str, str]], *, cwd: Path
) -> tuple[int, str]:
    """Run ``loretta`` at a terminal of 80 columns.

    Args:
        arguments: Of the command.
        typed: What to wait for on the screen, and what to type then.
        cwd: The working directory.

    Returns:
        The exit code, and everything on the screen without its control codes.
    """
    import pty

    screen, terminal = pty.openpty()
    environment = {**child_environment(), "TERM": "xterm", "COLUMNS": "80", "LINES": "40", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "loretta_cli", *map(str, arguments)]
    process = subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, cwd=cwd, env=environment
    )
    os.close(terminal)
    seen, left, end = "", list(typed), time.monotonic() + LONGEST
    try:
        while time.monotonic() < end:
            if left and left[0][0] in seen.rpartition("\N{NULL}")[2]:
                os.write(screen, left.pop(0)[1].encode())
                seen += "\N{NULL}"  # what is waited for next comes after this
            ready, _, _ = select.select([screen], [], [], 0.2)
            if not ready:
                if process.poll() is not None:
                    break
                continue
            try:
                data = os.read(screen, 4096)
            except OSError:  # Linux says so where the other side is closed
                break
            if not data:
                break
            seen += data.decode("utf-8", errors="replace")
        code = process.wait(timeout=10)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
        os.close(screen)
    return code, _CODES.sub("", seen).replace("\N{NULL}", "").replace("\r\n", "\n")
