"""A training on a real (pseudo) terminal, which ends, or which Ctrl+C ends."""

from __future__ import annotations

import os
import re
import select
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyte
import pytest

from tests.command_line import child_environment
from tests.training.resumed_runs import Case, make_place

pty, fcntl, termios = (
    pytest.importorskip(name, reason="this system has no pseudo terminals")
    for name in ("pty", "fcntl", "termios")
)

pytestmark = pytest.mark.slow
COLOUR = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7])[;m]")
DEADLINE_SECONDS = 180
# Keys that are pressed become signals only where the terminal is the session's own, and are heard only where
# they are not ignored, as they are by what a shell began in the background: these tests, perhaps.
AT_ITS_TERMINAL = """
import fcntl, signal, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGINT, signal.default_int_handler)
from loretta_cli.cli.app import main
main()
"""


def on_a_terminal(
    command: list[str], columns: int, *, interrupt_at: str = "", **variables: str
) -> tuple[int, Any, bytes]:
    """Exit code, the screen at the end, and what was written; Ctrl+C is pressed when a text appears."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, columns, 0, 0))
    plain = {
        name: value for name, value in child_environment().items() if name not in ("CI", "COLUMNS", "LINES")
    }
    process = subprocess.Popen(
        [sys.executable, "-c", AT_ITS_TERMINAL, *command],
        **dict.fromkeys(("stdin", "stdout", "stderr"), theirs),
        env={**plain, "TERM": "xterm-256color", **variables},
        start_new_session=True,
    )
    os.close(theirs)
    screen, written = pyte.Screen(columns, 60), b""
    stream, deadline = pyte.ByteStream(screen), time.monotonic() + DEADLINE_SECONDS
    try:
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 0.2)[0]:
                if process.poll() is not None:
                    break
                continue
            try:
                text = os.read(ours, 65536)
            except OSError:  # on Linux, the end of what a terminal says
                break
            if not text:
                break
            written += text
            stream.feed(text)
            if interrupt_at and any(interrupt_at in line for line in screen.display):
                interrupt_at = ""
                os.write(ours, b"\x03")
        return process.wait(timeout=60), screen, written
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def lines(screen: Any) -> list[str]:
    """What stands on the screen."""
    return [line.rstrip() for line in screen.display if line.strip()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_place(tmp_path_factory.mktemp("terminal"))


def test_the_last_state_of_the_table_stays_when_the_training_ends(place: Path, tmp_path: Path) -> None:
    code, screen, written = on_a_terminal(Case().command(place, tmp_path / "run"), 100)

    shown = lines(screen)
    assert code == 0, shown
    assert not screen.cursor.hidden
    (bar,) = (index for index, line in enumerate(shown) if line.endswith(" 12/12"))
    names, values = shown[bar + 1 : bar + 3]
    assert names.split() == [
        *("epoch", "loss", "accuracy", "best", "rate", "tokens/s", "memory", "elapsed", "eta")
    ]
    assert values.endswith("0:00:00")
    assert sum(line.startswith("epoch ") for line in shown) == 1
    assert shown[bar - 1].startswith("step 12  accuracy ")
    assert COLOUR.search(written)


def test_ctrl_c_leaves_nothing_torn(place: Path, tmp_path: Path) -> None:
    case, run = Case(steps=4000, extra=("training.evaluate_every=2000",)), tmp_path / "run"

    code, screen, written = on_a_terminal(
        case.command(place, run), 60, interrupt_at=" eta ", NO_COLOR="1", LC_ALL="C.UTF-8"
    )

    shown = lines(screen)
    assert code == 130, shown
    assert not screen.cursor.hidden
    end = next(index for index, line in enumerate(shown) if line.startswith("Error: Interrupted after step"))
    step = shown[end].split(" of 4000")[0].split()[-1]
    assert shown[end - 3].endswith(f" {int(step):,}/4,000")
    assert shown[end - 2].split()[0] == "loss"
    assert shown[end - 2].split()[-1] == "eta"
    assert shown[end - 4] == "at once", "notes are wrapped between words"
    assert sum("/4,000" in line for line in shown) == 1
    assert not COLOUR.search(written)
