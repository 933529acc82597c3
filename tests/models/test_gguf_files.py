"""What a GGUF file says of itself, and files that are none, are broken, or would be read as another model."""

from __future__ import annotations

import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("gguf", reason="the extra export is not installed")

import gguf

from loretta_cli.errors import ModelError
from loretta_cli.models.gguf_files import (
    GgufHeader,
    GgufTensor,
    check_readable,
    read_header,
    settle_gguf_config,
    written_bytes,
    written_kind,
)
from tests.gguf_models import write_gguf
from tests.tiny_folders import decoder_tokenizer
from tests.tiny_models import tiny_model


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen 2."""
    tokenizer = decoder_tokenizer()
    model = tiny_model("qwen2", vocab_size=len(tokenizer))
    return write_gguf(model, tokenizer, tmp_path_factory.mktemp("gguf") / "qwen2.gguf")


def refused(file: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        read_header(file)
    assert file.name in caught.value.message
    return caught.value


def test_a_header_tells_what_the_package_tells(file: Path) -> None:
    header = read_header(file)

    reader = gguf.GGUFReader(file)
    assert header.architecture == "qwen2"
    assert header.kind == "F32"
    assert {name: (tensor.shape, tensor.size) for name, tensor in header.tensors.items()} == {
        tensor.name: (tuple(tensor.shape[::-1].tolist()), tensor.n_bytes) for tensor in reader.tensors
    }
    fields = {name: field for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    assert list(header.fields) == list(fields)
    for name, field in fields.items():
        if field.types[0] != gguf.GGUFValueType.ARRAY:
            assert header.fields[name] == field.contents()


def test_a_setting_is_one_of_the_architecture(file: Path) -> None:
    header = read_header(file)

    assert header.setting("block_count") == 2
    assert header.setting("no.such") is None


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "none.gguf").message


@pytest.mark.parametrize("content", [b"", b"GG", b"hello, world"])
def test_a_file_of_another_kind_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "text.gguf").write_bytes(content)

    assert "does not begin with the letters GGUF" in refused(tmp_path / "text.gguf").message


@pytest.mark.parametrize("version", [1, 4, 3 << 24])
def test_another_version_is_told(file: Path, tmp_path: Path, version: int) -> None:
    content = file.read_bytes()
    (tmp_path / "old.gguf").write_bytes(content[:4] + struct.pack("<I", version) + content[8:])

    assert "version other than 2 and 3" in refused(tmp_path / "old.gguf").message


def test_a_file_that_is_cut_short_is_told_wherever_it_ends(file: Path, tmp_path: Path) -> None:
    content = file.read_bytes()

    for length in (5, 20, 100, 2000, 9000, len(content) - 1000, len(content) - 40):
        (tmp_path / "cut.gguf").write_bytes(content[:length])
        error = refused(tmp_path / "cut.gguf")
        assert "cut short" in error.message or "to its end" in error.message
        assert "get it anew" in error.hint


def test_a_vocabulary_alone_is_no_model(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "vocabulary.gguf", "llama")
    writer.add_tokenizer_model("gpt2")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()

    assert "holds no model" in refused(tmp_path / "vocabulary.gguf").message


def header(tensors: dict[str, GgufTensor] | None = None, **fields: Any) -> GgufHeader:
    named = {name.replace("__", "."): value for name, value in fields.items()}
    return GgufHeader({"general.architecture": "llama", **named}, tensors or {})


def test_a_type_is_not_for_norms_nor_for_rows_that_its_blocks_do_not_divide() -> None:
    shapes = {"a.weight": (4, 64), "odd.weight": (3, 40), "attn_norm.weight": (2, 64), "b.bias": (7,)}
    whole = header({name: GgufTensor(shape, "F32", 0) for name, shape in shapes.items()})

    assert [written_kind(name, shape, "q8_0") for name, shape in shapes.items()] == [
        "Q8_0",
        "F16",
        "F32",
        "F32",
    ]
    assert [written_kind(name, shape, "f16") for name, shape in shapes.items()] == [
        "F16",
        "F16",
        "F32",
        "F32",
    ]
    norms = 4 * (2 * 64 + 7)
    assert written_bytes(whole, "f32") == 4 * (4 * 64 + 3 * 40) + norms
    assert written_bytes(whole, "f16") == 2 * (4 * 64 + 3 * 40) + norms
    assert written_bytes(whole, "q8_0") == 34 * (4 * 64 // 32) + 2 * 3 * 40 + norms


def test_a_part_of_a_model_is_refused_with_how_to_join_it() -> None:
    with pytest.raises(ModelError, match="one of 3 files") as caught:
        check_readable("part.gguf", header(split__count=3))

    assert "llama-gguf-split --merge" in caught.value.hint


@pytest.mark.parametrize(
    "stretched",
    [
        header(llama__rope__scaling__type="linear"),
        header({"rope_freqs.weight": GgufTensor((4,), "F32", 16)}),
    ],
)
def test_stretched_positions_are_refused(stretched: GgufHeader) -> None:
    with pytest.raises(ModelError, match="stretches its positions"):
        check_readable("long.gguf", stretched)


def test_a_plain_model_is_readable() -> None:
    check_readable("plain.gguf", header(split__count=1, llama__rope__scaling__type="none"))


def test_a_head_s_width_and_a_padding_token_come_from_the_file() -> None:
    config = SimpleNamespace(model_type="llama", head_dim=8, pad_token_id=32000, vocab_size=100)

    settle_gguf_config(config, header(llama__attention__key_length=16))

    assert (config.head_dim, config.pad_token_id) == (16, None)


@pytest.mark.parametrize(("layers", "scale"), [(26, 256), (46, 128)])
def test_queries_of_gemma_are_scaled_as_in_llama_cpp(layers: int, scale: int) -> None:
    config = SimpleNamespace(
        **{"model_type": "gemma2", "head_dim": 256, "pad_token_id": 0, "vocab_size": 9},
        **{"num_hidden_layers": layers, "hidden_size": 4608, "num_attention_heads": 36},
    )

    settle_gguf_config(config, header())

    assert config.query_pre_attn_scalar == scale
