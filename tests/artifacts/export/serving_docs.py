"""The Python of ``docs/serving.md``, to be run on what was exported."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "serving.md"


def documented(section: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that the Python of a section defines when it is run in a folder."""
    text = DOCUMENT.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    monkeypatch.chdir(folder)
    exec(block, names)
    return names
