"""A file is replaced whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from loretta_cli.replacing import replacing


def test_a_finished_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old", encoding="utf-8")

    with replacing(target) as unfinished:
        unfinished.write_text("new", encoding="utf-8")
        assert target.read_text(encoding="utf-8") == "old"

    assert target.read_text(encoding="utf-8") == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old", encoding="utf-8")

    with pytest.raises(RuntimeError, match="half way"):
        _break_off(target)

    assert target.read_text(encoding="utf-8") == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]


def _break_off(target: Path) -> None:
    with replacing(target) as unfinished:
        unfinished.write_text("ne", encoding="utf-8")
        raise RuntimeError("half way")
