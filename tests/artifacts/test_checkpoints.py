"""Only a checkpoint that is whole is resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from loretta_cli.artifacts.checkpoints import MARKER, is_complete, last_complete, mark_complete, step_of


def checkpoint(parent: Path, step: int) -> Path:
    """A whole checkpoint with two files, one of them in a folder."""
    folder = parent / f"checkpoint-{step}"
    (folder / "state").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(bytes(range(256)) * 4)
    (folder / "state" / "optimizer.pt").write_bytes(b"moments")
    mark_complete(folder)
    return folder


def cut(folder: Path) -> None:
    path = folder / "weights.bin"
    path.write_bytes(path.read_bytes()[:-1])


def flip_one_bit(folder: Path) -> None:
    path = folder / "weights.bin"
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)


def wrong_checksum(folder: Path) -> None:
    sums = json.loads((folder / MARKER).read_text())["sha256"]
    sums["weights.bin"] = "0" * 64
    (folder / MARKER).write_text(json.dumps({"sha256": sums}))


def marker(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / MARKER).write_text(text)


TORN: dict[str, Callable[[Path], object]] = {
    "no marker": lambda folder: (folder / MARKER).unlink(),
    "cut file": cut,
    "one bit": flip_one_bit,
    "missing file": lambda folder: (folder / "weights.bin").unlink(),
    "missing file below": lambda folder: (folder / "state" / "optimizer.pt").unlink(),
    "wrong checksum": wrong_checksum,
    "cut marker": lambda folder: (folder / MARKER).write_text((folder / MARKER).read_text()[:40]),
    "empty marker": marker(""),
    "marker is a list": marker("[]"),
    "marker without sums": marker("{}"),
    "sums are a list": marker('{"sha256": ["weights.bin"]}'),
    "marker is no text": lambda folder: (folder / MARKER).write_bytes(b"\xff\xfe\x00"),
}


def test_a_marked_checkpoint_is_complete(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, 3)
    assert is_complete(folder)
    assert set(json.loads((folder / MARKER).read_text())["sha256"]) == {
        "weights.bin",
        str(Path("state") / "optimizer.pt"),
    }


def test_marking_again_after_a_change_makes_it_complete_again(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, 3)
    cut(folder)
    mark_complete(folder)
    assert is_complete(folder)


@pytest.mark.parametrize("damage", TORN)
def test_a_torn_checkpoint_is_not_complete_and_the_one_before_is_taken(tmp_path: Path, damage: str) -> None:
    earlier, later = checkpoint(tmp_path, 9), checkpoint(tmp_path, 10)
    assert last_complete(tmp_path) == later
    TORN[damage](later)
    assert not is_complete(later)
    assert last_complete(tmp_path) == earlier


def test_the_highest_step_is_the_last_not_the_highest_name(tmp_path: Path) -> None:
    for step in (5, 100, 20):
        checkpoint(tmp_path, step)
    found = last_complete(tmp_path)
    assert found is not None
    assert step_of(found) == 100


@pytest.mark.parametrize(
    "name", ["checkpoint-", "checkpoint-best", "checkpoint-10.tmp", "other-10", "checkpoint--3"]
)
def test_folders_with_other_names_are_no_checkpoints(tmp_path: Path, name: str) -> None:
    checkpoint(tmp_path, 3).rename(tmp_path / name)
    assert last_complete(tmp_path) is None


def test_without_checkpoints_there_is_none(tmp_path: Path) -> None:
    assert last_complete(tmp_path) is None
    assert last_complete(tmp_path / "missing") is None
    assert not is_complete(tmp_path / "missing")
