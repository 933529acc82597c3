"""Safetensors files of a base model: what is in them, and how each way of being broken is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from loretta_cli.artifacts.merging import NotStreamable
from loretta_cli.artifacts.merging.checkpoint import Checkpoint, find_checkpoint
from loretta_cli.errors import ModelError
from loretta_cli.models.source import ModelSource

FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"
TENSORS = {
    "words": torch.arange(12.0).reshape(3, 4),
    "half": torch.ones(5, dtype=torch.bfloat16),
    "places": torch.arange(4),
}


def source(folder: Path) -> ModelSource:
    return ModelSource("my-model", str(folder), is_local=True)


def whole(folder: Path) -> Path:
    """A model in one file."""
    folder.mkdir(exist_ok=True)
    save_file(TENSORS, folder / "model.safetensors")
    return folder


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """A model in two files with an index."""
    save_file({"words": TENSORS["words"]}, tmp_path / FIRST)
    save_file({name: TENSORS[name] for name in ("half", "places")}, tmp_path / SECOND)
    write_index(tmp_path, {"words": FIRST, "half": SECOND, "places": SECOND})
    return tmp_path


def write_index(folder: Path, places: object) -> None:
    (folder / INDEX).write_text(json.dumps({"weight_map": places}), encoding="utf-8")


def test_one_file_and_several_hold_the_same_tensors(shards: Path, tmp_path: Path) -> None:
    for folder in (shards, whole(tmp_path / "one")):
        found = find_checkpoint(source(folder), None)

        assert {name: (one.shape, one.dtype) for name, one in found.tensors.items()} == {
            name: (tuple(one.shape), one.dtype) for name, one in TENSORS.items()
        }
        assert all(torch.equal(found.read(name), tensor) for name, tensor in TENSORS.items())
        assert found.parameters == 12 + 5 + 4
    assert [file.name for file in find_checkpoint(source(shards), None).files] == [FIRST, SECOND]


def test_the_number_type_is_that_of_most_floating_point_bytes(tmp_path: Path) -> None:
    tensors = {
        "few": torch.ones(3),
        "most": torch.ones(90, dtype=torch.float16),
        "ids": torch.arange(1000),
    }
    save_file(tensors, tmp_path / "model.safetensors")
    save_file({"ids": torch.arange(3)}, tmp_path / "ids.safetensors")

    assert Checkpoint((tmp_path / "model.safetensors",), "m").dtype == torch.float16
    assert Checkpoint((tmp_path / "ids.safetensors",), "m").dtype == torch.float32


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-3])


def cut_in_the_header(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:40])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def with_a_flipped_bit_in_the_header(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[content.index(b'"shape"')] ^= 1
    file.write_bytes(content)


def with_a_flipped_bit_in_the_length(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[5] ^= 1
    file.write_bytes(content)


def missing(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize(
    "damage",
    [
        *(cut_short, cut_in_the_header, emptied, missing),
        *(with_a_flipped_bit_in_the_header, with_a_flipped_bit_in_the_length),
    ],
)
def test_a_broken_shard_is_named(shards: Path, damage: Callable[[Path], None]) -> None:
    damage(shards / SECOND)

    with pytest.raises(ModelError, match=f"Cannot read {SECOND} of my-model: ") as refusal:
        find_checkpoint(source(shards), None)

    assert "get it anew" in refusal.value.hint
    assert "\n" not in refusal.value.message


def test_a_file_that_breaks_while_it_is_read_is_named(tmp_path: Path) -> None:
    found = find_checkpoint(source(whole(tmp_path)), None)
    cut_short(tmp_path / "model.safetensors")

    with pytest.raises(ModelError, match=r"Cannot read model\.safetensors of my-model"):
        found.read("words")


INDICES = {
    "no JSON": ("{", "JSONDecodeError"),
    "no weight_map": ("{}", "KeyError"),
    "no object": ("[]", "TypeError"),
    "a list in it": ('{"weight_map": ["a"]}', "AttributeError"),
    "numbers in it": ('{"weight_map": {"words": 1}}', "the name of a file"),
    "a place outside": (f'{{"weight_map": {{"words": "../{FIRST}"}}}}', "the name of a file"),
}


@pytest.mark.parametrize(("text", "says"), INDICES.values(), ids=INDICES)
def test_a_broken_index_is_refused(shards: Path, text: str, says: str) -> None:
    (shards / INDEX).write_text(text, encoding="utf-8")

    with pytest.raises(ModelError, match=f"Cannot read {INDEX} of my-model: .*{says}") as refusal:
        find_checkpoint(source(shards), None)

    assert "get it anew" in refusal.value.hint


def test_an_index_of_other_files_is_refused(shards: Path) -> None:
    write_index(shards, {"words": FIRST, "more": SECOND})

    with pytest.raises(ModelError, match=f"says that {SECOND} has the tensor more, and it has not"):
        find_checkpoint(source(shards), None)


def test_what_cannot_be_streamed_is_left_to_the_merge_in_memory(tmp_path: Path) -> None:
    with pytest.raises(NotStreamable, match="has no safetensors files"):
        find_checkpoint(source(tmp_path), None)
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(NotStreamable, match="one file of another format"):
        find_checkpoint(source(tmp_path / "model.gguf"), None)
    save_file({"small": torch.ones(4).to(torch.float8_e4m3fn)}, tmp_path / "model.safetensors")
    with pytest.raises(NotStreamable, match="numbers of the type F8_E4M3"):
        find_checkpoint(source(tmp_path), None)
