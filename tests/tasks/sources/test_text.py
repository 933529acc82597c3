"""Text files: UTF-8 only, and one sentence for a file that cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loretta_cli.errors import DataError
from loretta_cli.tasks.sources.text import read_text

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_byte_order_mark_is_dropped_and_line_ends_are_kept(write: Callable[..., Path]) -> None:
    assert read_text(write("a.csv", b"\xef\xbb\xbftext\r\n\xc3\xa9\n"), "a.csv") == "text\r\né\n"


def test_a_byte_that_is_not_utf_8_is_named_with_its_line(write: Callable[..., Path]) -> None:
    path = write("a.csv", b"\xef\xbb\xbftext\ngood\ncaf\xe9\n")
    with pytest.raises(DataError) as caught:
        read_text(path, "data/a.csv")
    assert caught.value.message == "data/a.csv, line 3: byte 0xe9 (byte 17 of the file) is not UTF-8."
    assert "UTF-8" in caught.value.hint


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.jsonl is a folder; a file was expected"):
        read_text(tmp_path, "train.jsonl")


def test_a_link_to_nothing_is_told_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to(tmp_path / "gone.csv")
    with pytest.raises(DataError, match=r"^a\.csv: no such file\.$") as caught:
        read_text(tmp_path / "a.csv", "a.csv")
    assert "link" in caught.value.hint


def test_a_link_to_a_file_is_read(write: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(write("a.csv", "text\n"))
    assert read_text(tmp_path / "link.csv", "link.csv") == "text\n"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied"), "a.csv cannot be read: permission denied."),
        (OSError(5, "Input/output error"), "a.csv cannot be read: Input/output error."),
    ],
)
def test_a_refusal_of_the_system_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: OSError, message: str
) -> None:
    def refuse(_: Path) -> bytes:
        raise error

    # Permissions bind no administrator, so the refusal is made here.
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError) as caught:
        read_text(tmp_path / "a.csv", "a.csv")
    assert caught.value.message == message


def test_utf_16_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("text,label\ngood,1\n".encode("utf-16"))

    with pytest.raises(DataError, match=r"^a\.csv is UTF-16, not UTF-8\.") as caught:
        read_text(tmp_path / "a.csv", "a.csv")

    assert "iconv -f utf-16 -t utf-8" in caught.value.hint
