"""Checksums of base models: cheap for large files, the same for the same contents, another for others."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from loretta_cli.artifacts.fingerprint import (
    BLOCK_BYTES,
    BLOCKS,
    SAMPLED_BYTES,
    Fingerprints,
    WeightFile,
    fingerprint_of,
    read_fingerprints,
    sampled_sha256,
    settings_sha256,
    weight_files,
    write_fingerprints,
)
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.errors import RunError
from loretta_cli.models.source import ModelSource

HEADER = json.dumps({"w": {"dtype": "U8", "shape": [5_000_000], "data_offsets": [0, 5_000_000]}}).encode()
FIRST = 8 + len(HEADER)


def large(file: Path, *, body: int = 5_000_000) -> Path:
    """A safetensors file that is too large to be read whole."""
    numbers = bytes(number % 251 for number in range(1000)) * (body // 1000)
    file.write_bytes(len(HEADER).to_bytes(8, "little") + HEADER + numbers)
    return file


def changed(file: Path, place: int) -> str:
    """The sum of a file with one bit flipped; the file is as it was afterwards."""
    content = file.read_bytes()
    file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    found = sampled_sha256(file)
    file.write_bytes(content)
    return found


def test_a_small_file_has_its_ordinary_sum(tmp_path: Path) -> None:
    (tmp_path / "small.safetensors").write_bytes(b"x" * 1000)

    assert sampled_sha256(tmp_path / "small.safetensors") == hashlib.sha256(b"x" * 1000).hexdigest()


def test_of_a_large_file_header_first_and_last_bytes_and_the_blocks_count(tmp_path: Path) -> None:
    file = large(tmp_path / "large.safetensors")
    known, end = sampled_sha256(file), file.stat().st_size
    step = (end - BLOCK_BYTES - FIRST) // (BLOCKS - 1)

    assert known == sampled_sha256(file)
    for place in (12, FIRST, end - 1, FIRST + step + 10):
        assert changed(file, place) != known, place


def test_what_lies_between_the_blocks_is_not_seen_as_the_docstring_says(tmp_path: Path) -> None:
    file = large(tmp_path / "large.safetensors")

    assert changed(file, FIRST + BLOCK_BYTES + 100) == sampled_sha256(file)
    assert "cannot" in (sampled_sha256.__doc__ or "")


def test_little_is_read_of_a_file_of_100_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "huge.gguf"
    with file.open("wb") as opened:
        opened.truncate(100 * 2**30)  # a hole: it takes no room
    read: list[int] = []
    real = hashlib.sha256

    class Counting:
        def __init__(self) -> None:
            self._sum = real()

        def update(self, data: bytes) -> None:
            read.append(len(data))
            self._sum.update(data)

        def hexdigest(self) -> str:
            return self._sum.hexdigest()

    monkeypatch.setattr(hashlib, "sha256", Counting)
    sampled_sha256(file)

    assert sum(read) == SAMPLED_BYTES


def test_a_header_with_a_wrong_length_is_read_like_any_other_file(tmp_path: Path) -> None:
    file = tmp_path / "broken.safetensors"
    file.write_bytes(b"\xff" * (SAMPLED_BYTES + 10))

    assert len(sampled_sha256(file)) == 64


def source(folder: Path, *, is_local: bool = True) -> ModelSource:
    return ModelSource(str(folder), str(folder), is_local)


def names(folder: Path, **options: str) -> list[str]:
    return [file.name for file in weight_files(source(folder), revision=None, **options)]


def test_the_files_are_those_that_transformers_reads(tmp_path: Path) -> None:
    for name in ("b.gguf", "a.gguf"):
        (tmp_path / name).touch()
    assert names(tmp_path) == ["a.gguf", "b.gguf"]
    (tmp_path / "pytorch_model.bin").touch()
    assert names(tmp_path) == ["pytorch_model.bin"]
    shards = {"x": "model-2.safetensors", "y": "model-1.safetensors", "z": "model-2.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    for name in shards.values():
        (tmp_path / name).touch()
    assert names(tmp_path) == ["model-1.safetensors", "model-2.safetensors"]
    (tmp_path / "model.safetensors").touch()
    assert names(tmp_path) == ["model.safetensors"]
    assert names(tmp_path, named="b.gguf") == ["b.gguf"]
    assert [file.name for file in weight_files(source(tmp_path / "a.gguf"), revision=None)] == ["a.gguf"]


def test_a_broken_index_has_no_files(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text("[]")

    assert names(tmp_path) == []


def test_a_model_that_is_not_in_the_cache_of_the_hub_has_no_files() -> None:
    nowhere = ModelSource("org/none", "org/none", is_local=False)

    assert weight_files(nowhere, revision=None) == ()


def test_the_stored_number_type_is_that_of_most_bytes(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(9, dtype=torch.bfloat16), "b": torch.zeros(2)}, tmp_path / "m.safetensors")

    assert fingerprint_of([tmp_path / "m.safetensors"]).dtype == "BF16"


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    known = Fingerprints((WeightFile("m", 3, "ab"),), "F32", WeightFile("adapter", 1, "cd"), "ef")
    assert read_fingerprints(run) is None

    write_fingerprints(run, known)

    assert read_fingerprints(run) == known


def test_settings_are_the_same_in_another_layout_and_for_another_place_of_the_base(tmp_path: Path) -> None:
    file = tmp_path / "adapter_config.json"
    file.write_text('{"r": 8, "alpha": 16.0, "base_model_name_or_path": "/a"}', encoding="utf-8")
    first = settings_sha256(tmp_path)
    file.write_text('{"base_model_name_or_path": "/b",\n "alpha": 16.0, "r": 8}', encoding="utf-8")

    assert settings_sha256(tmp_path) == first
    file.write_text('{"r": 8, "alpha": 96.0, "base_model_name_or_path": "/a"}', encoding="utf-8")
    assert settings_sha256(tmp_path) not in (first, None)
    for text in ("{", "[1]"):
        file.write_text(text, encoding="utf-8")
        assert settings_sha256(tmp_path) is None


def test_a_document_of_a_version_without_settings_is_read(tmp_path: Path) -> None:
    document = Fingerprints((WeightFile("m", 3, "ab"),), "F32", None).as_json()
    del document["adapter_settings"]

    assert Fingerprints.from_json(document).settings is None


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"base": {"files": [1]}, "adapter": null}', "\x00"])
def test_a_broken_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "fingerprints.json").write_text(text)

    with pytest.raises(RunError, match="is broken"):
        read_fingerprints(RunFolder(tmp_path))
