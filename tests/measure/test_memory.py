"""Peak memory, held against what the system says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from loretta_cli.measure.memory import peak_memory_bytes

STATUS = Path("/proc/self/status")


needs_linux_without_gpu = pytest.mark.skipif(
    torch.cuda.is_available() or not STATUS.exists(), reason="needs Linux without a GPU"
)


def by_system(name: str) -> int:
    """A line of /proc/self/status, in bytes."""
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return int(lines[name].split()[0]) * 1024


@needs_linux_without_gpu
def test_the_peak_is_in_bytes_and_that_of_the_system() -> None:
    assert peak_memory_bytes() == pytest.approx(by_system("VmHWM"), rel=0.05)


@needs_linux_without_gpu
def test_the_peak_rises_with_what_is_held_and_never_falls() -> None:
    before = peak_memory_bytes()
    block = b"\1" * (before - by_system("VmRSS") + 2**26)
    during = peak_memory_bytes()
    assert during > before + 2**25
    del block
    assert peak_memory_bytes() >= during


def test_a_gpu_is_measured_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 12345)
    assert peak_memory_bytes() == 12345
