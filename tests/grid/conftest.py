"""What the tests of tables, documents and pictures share."""

from __future__ import annotations

from pathlib import Path

import pytest

from loretta_cli.grid.folder import GridFolder
from loretta_cli.grid.scores import Comparison, compare
from tests.grid.fake_runs import TWO_BY_TWO, cells_of, finish, score_of


@pytest.fixture
def folder(tmp_path: Path) -> GridFolder:
    """A comparison of two methods, two tasks and two seeds, all finished."""
    folder = GridFolder(tmp_path / "comparison")
    for cell in cells_of(TWO_BY_TWO):
        finish(folder, cell, score_of(cell), trainable=1000 if cell.method == "rep" else 9000)
    return folder


@pytest.fixture
def comparison(folder: GridFolder) -> Comparison:
    """What it says."""
    return compare(folder, cells_of(TWO_BY_TWO))
