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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_large_blocks_are_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=child_environment()
    )
    first, told, then = json.loads(done.stdout)
    assert told
    assert first > 8 * 2**20, "without it, this pattern leaves memory with the heap"
    assert then < 4 * 2**20
