"""Freed blocks go back to the system: seen in a process of its own, as the setting stays with it."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import pytest

from tests.command_line import child_environment

SCRIPT = """
import json, psutil, torch
from loretta_cli.training.returned_memory import return_large_blocks

def kept():
    torch.ones(2**21)  # glibc keeps blocks of a size once one was freed
    before = psutil.Process().memory_info().rss
    pairs = [(torch.ones(2**19), torch.ones(2**10)) for _ in range(40)]
    pins = [pin for _, pin in pairs]
    del pairs
    return psutil.Process().memory_info().rss - before

first = kept()
told = return_large_blocks()
print(json.dumps([first, told, kept()]))
"""


KEPT = """
import json
from loretta_cli.training.returned_memory import kept_for_later

blocks = [bytearray(2**16) for _ in range(500)]
pins, before = blocks[::2], kept_for_later()
del blocks
print(json.dumps([before, kept_for_later()]))
"""


def printed(script: str) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=child_environment()
    )
    found: list[int] = json.loads(done.stdout)
    return found


needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")


@needs_glibc
def test_large_blocks_are_given_back() -> None:
    first, told, then = printed(SCRIPT)
    assert told
    assert first > 8 * 2**20, "without it, this pattern leaves memory with the heap"
    assert then < 4 * 2**20


@needs_glibc
def test_what_the_heap_keeps_is_known() -> None:
    before, then = printed(KEPT)
    assert then - before == pytest.approx(250 * 2**16, rel=0.05)
