"""Peak memory, held against what the system says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from loretta_cli.measure.memory import peak_memory_bytes

STATUS = Path("/proc/self/status")


@pytest.mark.skipif(torch.cuda.is_available() or not STATUS.exists(), reason="needs Linux without a GPU")
def test_the_peak_is_in_bytes_and_that_of_the_system() -> None:
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    by_system = int(lines["VmHWM"].split()[0]) * 1024
    assert peak_memory_bytes() == pytest.approx(by_system, rel=0.05)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the peak of RAM is measured without a GPU only")
def test_the_peak_never_falls() -> None:
    before = peak_memory_bytes()
    block = bytearray(before + 2**24)
    during = peak_memory_bytes()
    assert during > before
    del block
    assert peak_memory_bytes() >= during


def test_a_gpu_is_measured_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 12345)
    assert peak_memory_bytes() == 12345
