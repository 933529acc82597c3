"""Writing whole or not at all: folders, files, and refusals before any work is done."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import SafetensorError

from loretta_cli.artifacts import files
from loretta_cli.artifacts.files import (
    check_new_folder,
    check_writable,
    explained,
    folder_bytes,
    new_folder,
    sha256,
    write_json,
    write_text,
)
from loretta_cli.errors import LorettaError, OutputError


def names(folder: Path) -> list[str]:
    """Everything in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


def filled(folder: Path, text: str = "old") -> Path:
    folder.mkdir(parents=True)
    (folder / "file").write_text(text)
    return folder


def fill_and_fail(target: Path, error: type[BaseException], *, replace: bool) -> None:
    """Begin a new folder and fail when it is half written."""
    with new_folder(target, replace=replace) as folder:
        (folder / "file").write_text("new")
        raise error("no")


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Have the system say of a folder that it cannot be written, also to root."""

    def protect(folder: Path) -> None:
        access = os.access

        def refuse(path: Path, mode: int) -> bool:
            return False if Path(path) == folder and mode & os.W_OK else access(path, mode)

        monkeypatch.setattr(files.os, "access", refuse)

    return protect


def test_a_folder_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "out"
    with new_folder(target) as folder:
        (folder / "file").write_text("new")
        assert not target.exists()
        assert folder.parent == target.parent
    assert (target / "file").read_text() == "new"
    assert names(target.parent) == ["out"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError, LorettaError])
@pytest.mark.parametrize("replace", [False, True])
def test_nothing_is_left_when_the_block_fails(
    tmp_path: Path, error: type[BaseException], replace: bool
) -> None:
    with pytest.raises(error):
        fill_and_fail(tmp_path / "out", error, replace=replace)
    assert names(tmp_path) == []


def test_an_old_folder_stays_when_the_block_fails(tmp_path: Path) -> None:
    target = filled(tmp_path / "out")
    with pytest.raises(RuntimeError):
        fill_and_fail(target, RuntimeError, replace=True)
    assert (target / "file").read_text() == "old"
    assert names(tmp_path) == ["out"]


def test_an_old_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = filled(tmp_path / "out")
    (target / "other").write_text("old")
    with new_folder(target, replace=True) as folder:
        (folder / "file").write_text("new")
        assert names(target) == ["file", "other"]
    assert names(target) == ["file"]
    assert (target / "file").read_text() == "new"
    assert names(tmp_path) == ["out"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with new_folder(tmp_path / "out") as folder:
        (folder / "file").write_text("new")
    assert names(tmp_path / "out") == ["file"]
    assert names(tmp_path) == ["out"]


def test_a_folder_with_files_is_refused_and_untouched(tmp_path: Path) -> None:
    target = filled(tmp_path / "out")
    with pytest.raises(OutputError, match=r"out exists and is not empty\.") as caught, new_folder(target):
        pytest.fail("the block must not run")
    assert "--output" in caught.value.hint
    assert (target / "file").read_text() == "old"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("replace", [False, True])
def test_a_file_is_refused(tmp_path: Path, replace: bool) -> None:
    target = tmp_path / "out"
    target.write_text("text")
    with pytest.raises(OutputError, match="out is a file; expected a folder"):
        check_new_folder(target, replace=replace)
    assert target.read_text() == "text"


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(OutputError, match=r"file/out cannot be written: .*file is a file"):
        check_new_folder(tmp_path / "file" / "out")


@pytest.mark.parametrize("check", [check_new_folder, check_writable])
@pytest.mark.parametrize("below", ["out", "deep/er/out"])
def test_a_place_without_permission_is_refused_with_the_nearest_parent(
    tmp_path: Path, read_only: Callable[[Path], None], check: Callable[[Path], None], below: str
) -> None:
    check(tmp_path / below)
    read_only(tmp_path)
    with pytest.raises(OutputError) as caught:
        check(tmp_path / below)
    assert f"no permission to write in {tmp_path}." in caught.value.message
    assert "--output" in caught.value.hint


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_parent_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(OutputError, match="no permission to write"):
            check_new_folder(tmp_path / "out")
    finally:
        tmp_path.chmod(0o755)


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"Cannot write .*: File name too long"):
        check_new_folder(tmp_path / ("x" * 300))


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    sentence = r"Cannot write .*out: No space left on device\."
    with pytest.raises(OutputError, match=sentence) as caught, new_folder(tmp_path / "out"):
        raise OSError(28, "whatever")
    assert caught.value.hint
    assert names(tmp_path) == []


def test_a_short_write_of_numpy_has_no_number_and_is_told_on_a_full_disk_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = "100 requested and 7 written"
    with pytest.raises(OSError, match=short), explained(tmp_path / "out"):
        raise OSError(short)

    monkeypatch.setattr(files, "_is_full", lambda _: True)

    with pytest.raises(OutputError, match="No space left on device"), explained(tmp_path / "out"):
        raise OSError(short)


def test_safetensors_words_for_a_full_disk_are_understood_though_it_has_room_again(tmp_path: Path) -> None:
    said = "Error while serializing: I/O error: No space left on device (os error 28)"

    with pytest.raises(OutputError, match="No space left on device"), explained(tmp_path / "out"):
        raise SafetensorError(said)
    with pytest.raises(SafetensorError, match="else"), explained(tmp_path / "out"):
        raise SafetensorError("something else")


def test_an_error_that_is_not_the_systems_is_passed_on() -> None:
    with pytest.raises(OSError, match="my own"), explained(Path("out")):
        raise OSError("my own")
    with pytest.raises(KeyError), explained(Path("out")):
        raise KeyError


@pytest.mark.skipif(os.name != "posix", reason="POSIX modes")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_new_folder_has_the_mode_that_mkdir_gives(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with new_folder(tmp_path / "out"):
            pass
        (tmp_path / "usual").mkdir()
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("out", "usual")]
    assert modes[0] == modes[1]


def test_a_text_file_is_written_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "größer\n")
    assert path.read_bytes() == "größer\n".encode()
    write_text(path, "new")
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def refuse(*_: object) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError, match="No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"


def test_json_is_indented_and_keeps_its_characters(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": ["ü", 1.5], "a": None})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert text == '{\n  "b": [\n    "ü",\n    1.5\n  ],\n  "a": null\n}\n'
    assert json.loads(text) == {"b": ["ü", 1.5], "a": None}


def test_a_value_that_json_lacks_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", object())
    assert names(tmp_path) == []


def test_checksum_and_size_are_those_of_the_bytes(tmp_path: Path) -> None:
    folder = filled(tmp_path / "out", "x" * 100)
    filled(folder / "sub", "y" * 23)
    assert sha256(folder / "file") == hashlib.sha256(b"x" * 100).hexdigest()
    assert folder_bytes(folder) == 123
    shutil.rmtree(folder / "sub")
    assert folder_bytes(folder) == 100
