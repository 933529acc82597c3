"""The pinned versions: pip must be able to read them, and they are nobody's checkout."""

from __future__ import annotations

import re
from pathlib import Path

LINES = (Path(__file__).parent.parent / "constraints.txt").read_text(encoding="utf-8").splitlines()


def test_every_constraint_is_a_name_and_a_version() -> None:
    pins = [line for line in LINES if not line.startswith("#")]

    assert len(pins) > 50
    assert [line for line in pins if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9A-Za-z.]+", line)] == []


def test_torch_and_the_pinned_libraries_are_in() -> None:
    names = {line.partition("==")[0] for line in LINES}

    assert {"torch", "transformers", "peft", "tensorly", "sentence-transformers"} <= names
