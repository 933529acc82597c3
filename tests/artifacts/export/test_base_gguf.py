"""A base in GGUF form is looked at before work is done with it, and unpacked to the numbers it stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("gguf", reason="the extra export is not installed")

import gguf
import numpy as np

from loretta_cli.artifacts.export.base_gguf import check_base, check_base_weights, write_unpacked
from loretta_cli.errors import ConfigError
from loretta_cli.models.gguf_files import GgufHeader, read_header

NAME = "blk.0.attn_q.weight"
OTHER = "blk.0.ffn_down.weight"
NUMBERS = np.random.default_rng(0).normal(size=(8, 32)).astype(np.float32)


def written(file: Path, *, quantised: bool = False) -> Path:
    """One weight in f32 and another that may be quantised."""
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_name("small")
    writer.add_token_list(["a", "b"])
    writer.add_tensor(NAME, NUMBERS)
    if quantised:
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(OTHER, gguf.quantize(NUMBERS, kind), raw_dtype=kind)
    else:
        writer.add_tensor(OTHER, NUMBERS)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


@pytest.fixture
def header(tmp_path: Path) -> GgufHeader:
    return read_header(written(tmp_path / "base.gguf"))


def test_the_right_base_is_taken(header: GgufHeader) -> None:
    check_base("base.gguf", header, "llama")
    check_base_weights("base.gguf", header, {NAME: (8, 32)})


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ({NAME: (16, 32)}, r"of \(8, 32\); the adapter is for \(16, 32\)"),
        ({"blk.1.attn_q.weight": (8, 32)}, "has no blk.1.attn_q.weight"),
    ],
)
def test_weights_that_the_adapter_does_not_fit_are_refused(
    shapes: dict[str, tuple[int, int]], said: str, header: GgufHeader
) -> None:
    with pytest.raises(ConfigError, match=said):
        check_base_weights("base.gguf", header, shapes)


def test_another_architecture_is_refused(header: GgufHeader) -> None:
    with pytest.raises(ConfigError, match="architecture llama; the base of this run is qwen2"):
        check_base("base.gguf", header, "qwen2")


def test_a_quantised_base_is_refused_as_a_measure_wherever_it_is_quantised(tmp_path: Path) -> None:
    header = read_header(written(tmp_path / "base.gguf", quantised=True))

    with pytest.raises(ConfigError, match="is quantised") as caught:
        check_base("base.gguf", header, "llama")

    assert "F32, F16, BF16" in caught.value.hint


def test_an_unpacked_file_says_the_same_in_f32(tmp_path: Path) -> None:
    base = written(tmp_path / "base.gguf", quantised=True)

    write_unpacked(tmp_path / "plain.gguf", base)

    packed, plain = gguf.GGUFReader(base), gguf.GGUFReader(tmp_path / "plain.gguf")
    assert [tensor.name for tensor in plain.tensors] == [NAME, OTHER]
    for before, after in zip(packed.tensors, plain.tensors, strict=True):
        assert after.tensor_type == gguf.GGMLQuantizationType.F32
        expected = gguf.dequantize(before.data, before.tensor_type)
        assert np.array_equal(np.asarray(after.data).reshape(8, 32), expected.reshape(8, 32))
    assert not np.array_equal(np.asarray(plain.tensors[1].data).reshape(8, 32), NUMBERS), "Q8_0 rounds"
    said = read_header(tmp_path / "plain.gguf").fields
    assert said["general.name"] == "small"
    assert said["general.file_type"] == int(gguf.LlamaFileType.ALL_F32)
    tokens = plain.get_field("tokenizer.ggml.tokens")
    assert tokens is not None
    assert tokens.contents() == ["a", "b"]
