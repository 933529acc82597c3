"""Only a checkpoint that is whole is resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from loretta_cli.artifacts.checkpoints import (
    MARKER,
    UNFINISHED,
    is_complete,
    last_complete,
    mark_complete,
    name_of,
    prune,
    put_in_place,
    step_of,
    writing,
)
from tests.command_line import files_below


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


def written_below(folder: Path, step: int, content: bytes) -> Path:
    """A checkpoint that is wholly written but has neither marker nor place."""
    written = folder / name_of(step)
    written.mkdir()
    (written / "weights.bin").write_bytes(content)
    return written


def test_a_checkpoint_gets_its_place_when_it_is_whole(tmp_path: Path) -> None:
    with writing(tmp_path) as unfinished:
        written = written_below(unfinished, 7, b"weights")
        assert last_complete(tmp_path) is None
        placed = put_in_place(written, tmp_path)

    assert placed == tmp_path / "checkpoint-7" == last_complete(tmp_path)
    assert files_below(tmp_path) == ["checkpoint-7", f"checkpoint-7/{MARKER}", "checkpoint-7/weights.bin"]


def test_a_checkpoint_of_the_same_step_is_replaced(tmp_path: Path) -> None:
    checkpoint(tmp_path, 7)

    with writing(tmp_path) as unfinished:
        put_in_place(written_below(unfinished, 7, b"others"), tmp_path)

    assert (tmp_path / "checkpoint-7" / "weights.bin").read_bytes() == b"others"
    assert is_complete(tmp_path / "checkpoint-7")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-7"]


def test_what_was_written_in_part_goes(tmp_path: Path) -> None:
    def stop(unfinished: Path) -> None:
        written_below(unfinished, 7, b"half of the wei")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), writing(tmp_path) as unfinished:
        stop(unfinished)

    assert files_below(tmp_path) == []


def test_what_a_killed_process_left_goes_with_the_next_checkpoint(tmp_path: Path) -> None:
    (tmp_path / UNFINISHED).mkdir()
    written_below(tmp_path / UNFINISHED, 7, b"half of the wei")
    assert last_complete(tmp_path) is None

    with writing(tmp_path) as unfinished:
        assert files_below(unfinished) == []


def test_the_last_checkpoints_are_kept_and_those_to_spare(tmp_path: Path) -> None:
    for step in (2, 4, 6, 8, 10):
        checkpoint(tmp_path, step)

    prune(tmp_path, keep=2, spare={4, 5})

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-10",
        "checkpoint-4",
        "checkpoint-8",
    ]


def test_more_to_keep_than_there_are_removes_nothing(tmp_path: Path) -> None:
    checkpoint(tmp_path, 2)
    prune(tmp_path, keep=3)
    assert last_complete(tmp_path) is not None


def test_a_removal_that_was_cut_off_leaves_nothing_that_seems_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (2, 4):
        checkpoint(tmp_path, step)

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.rmtree", cut_off)
    with pytest.raises(KeyboardInterrupt):
        prune(tmp_path, keep=1)

    assert not is_complete(tmp_path / "checkpoint-2")
    assert last_complete(tmp_path) == tmp_path / "checkpoint-4"
