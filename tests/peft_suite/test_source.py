"""Fetching PEFT's tests: what is unpacked, and a reason instead of an error where nothing can be fetched."""

from __future__ import annotations

import io
import subprocess
import tarfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.peft_suite import source
from tests.peft_suite.source import SourceUnavailableError, download, peft_tests, unpack


def archive(folder: Path, *names: str) -> Path:
    """A tar archive with files of one line."""
    file = folder / "peft-0.0.0.tar.gz"
    with tarfile.open(file, "w:gz") as opened:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 2
            opened.addfile(member, io.BytesIO(b"1\n"))
    return file


def test_only_the_test_files_are_unpacked_and_made_a_package(tmp_path: Path) -> None:
    names = ("tests/test_a.py", "tests/data/b.py", "src/peft/tests/c.py", "tests/d.txt", "../test_e.py")
    unpack(archive(tmp_path, *(f"peft-0.0.0/{name}" for name in names)), tmp_path / "out")

    assert sorted(path.name for path in (tmp_path / "out" / "peft_tests").iterdir()) == [
        "__init__.py",
        "test_a.py",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "peft-0.0.0.tar.gz"]


def test_an_archive_without_tests_is_said_to_have_none(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailableError, match="carries no tests"):
        unpack(archive(tmp_path, "peft-0.0.0/setup.py"), tmp_path / "out")


def test_without_network_the_reason_is_pips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(command: list[str], **settings: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, stdout="", stderr="Looking\nERROR: no connection\n")

    monkeypatch.setattr(subprocess, "run", no_network)

    with pytest.raises(SourceUnavailableError, match="ERROR: no connection"):
        download("0.0.0", tmp_path)


def test_the_cache_is_filled_once_for_a_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetched(peft_version: str, folder: Path) -> Path:
        asked.append(peft_version)
        return archive(folder, "peft-0.0.0/tests/test_a.py")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(source, "download", fetched)

    assert peft_tests() == peft_tests() == tmp_path / "loretta" / f"peft-{version('peft')}" / "peft_tests"
    assert asked == [version("peft")]
    assert [path.name for path in (tmp_path / "loretta").iterdir()] == [f"peft-{version('peft')}"]


def test_a_failed_fetch_leaves_nothing_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(peft_version: str, folder: Path) -> Path:
        raise SourceUnavailableError("no network")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(source, "download", fails)

    with pytest.raises(SourceUnavailableError):
        peft_tests()
    assert list((tmp_path / "loretta").iterdir()) == []
