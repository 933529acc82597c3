"""Peak memory, held against what the system says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from loretta_cli.measure.memory import peak_memory_bytes

STATUS = Path("/proc/self/status")
HOLDING = """
from loretta_cli.measure.memory import peak_memory_bytes
before = peak_memory_bytes()
block = bytearray(b"\\1") * {size}
during = peak_memory_bytes()
del block
print(before, during, peak_memory_bytes())
"""


needs_linux_without_gpu = pytest.mark.skipif(
    torch.cuda.is_available() or not STATUS.exists(), reason="needs Linux without a GPU"
)


def by_system(name: str) -> int:
    """A line of /proc/self/status, in bytes."""
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return int(lines[name].split()[0]) * 1024


@needs_linux_without_gpu
def test_a_child_does_not_begin_with_the_peak_of_its_parent() -> None:
    block = bytearray(b"\1") * 2**30
    asked = [sys.executable, "-c", "from loretta_cli.measure.memory import *; print(peak_memory_bytes())"]

    told = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=120).stdout

    assert int(told) < len(block)


@needs_linux_without_gpu
def test_the_peak_is_in_bytes_and_that_of_the_system() -> None:
    assert peak_memory_bytes() == pytest.approx(by_system("VmHWM"), rel=0.05)


@needs_linux_without_gpu
def test_the_peak_rises_with_what_is_held_and_never_falls() -> None:
    # A process of its own: what other tests held and freed here hides a new block of memory.
    size = 2**29
    asked = [sys.executable, "-c", HOLDING.format(size=size)]
    told = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=120).stdout
    before, during, after = map(int, told.split())

    assert during > before + size / 2
    assert after >= during - 2**21, "the kernel counts in batches of pages"


def test_a_gpu_is_measured_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 12345)
    assert peak_memory_bytes() == 12345
