"""A GGUF file written again with other numbers: read back by transformers, it is the model that was given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gguf", reason="the extra export is not installed")

import gguf
import torch

from loretta_cli.artifacts.export.base_gguf import write_unpacked
from loretta_cli.artifacts.export.gguf_lora_file import write_adapter
from loretta_cli.artifacts.export.gguf_model import Value, values_by_tensor, write_model
from loretta_cli.errors import ConfigError, ExportError
from loretta_cli.models.loading import load_model
from loretta_cli.models.source import find_model
from tests.gguf_models import ARCHITECTURES, CHANGES, write_gguf
from tests.tiny_folders import decoder_tokenizer
from tests.tiny_models import tiny_model

TOKENIZER = decoder_tokenizer()


def base_file(family: str, folder: Path, **changes: Any) -> Path:
    model = tiny_model(family, vocab_size=len(TOKENIZER), **CHANGES.get(family, {}), **changes)
    return write_gguf(model, TOKENIZER, folder / "base.gguf")


def read(file: Path) -> Any:
    return load_model(find_model(str(file)), "prompt").model


def changed(model: Any) -> Any:
    """The model with other numbers everywhere."""
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(1)
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def write(model: Any, base: Path, file: Path, number_type: str) -> Path:
    write_model(
        file, base, values_by_tensor(model.state_dict(), model.config, base), model.config, number_type
    )
    return file


def kinds(file: Path) -> dict[str, str]:
    return {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(file).tensors}


READ = [family for family in ARCHITECTURES if family != "gemma"]
"""transformers does not read the first Gemma from a GGUF file."""


@pytest.mark.parametrize("family", READ)
def test_every_number_of_a_model_is_written_where_it_is_read(family: str, tmp_path: Path) -> None:
    base = base_file(family, tmp_path)
    model = changed(read(base))

    again = read(write(model, base, tmp_path / "model.gguf", "f32"))

    expected, found = model.state_dict(), again.state_dict()
    assert list(expected) == list(found)
    for name, value in expected.items():
        # 1 is added to the norms of Gemma, and taken away again.
        torch.testing.assert_close(found[name], value, rtol=0, atol=3e-7 if "norm" in name else 0)


def test_metadata_and_vocabulary_are_those_of_the_base(tmp_path: Path) -> None:
    base = base_file("llama", tmp_path)

    file = write(changed(read(base)), base, tmp_path / "model.gguf", "f16")

    expected, found = gguf.GGUFReader(base).fields, gguf.GGUFReader(file).fields
    assert set(found) == {*expected, "general.file_type"}
    for name, field in expected.items():
        if not name.startswith("GGUF."):
            assert (found[name].contents(), found[name].types) == (field.contents(), field.types), name
    assert found["general.file_type"].contents() == gguf.LlamaFileType.MOSTLY_F16
    assert list(kinds(base)) == list(kinds(file))


def test_what_was_said_of_a_quantisation_and_its_alignment_are_settled(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "base.gguf", "llama")
    writer.add_custom_alignment(64)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_1)
    writer.add_string("quantize.imatrix.file", "somewhere")
    writer.add_tensor("token_embd.weight", torch.ones(3, 32).numpy())
    writer.add_tensor("own.table", torch.arange(5.0).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    values = {"token_embd.weight": Value("model.embed_tokens.weight", torch.full((3, 32), 2.0))}

    write_model(tmp_path / "model.gguf", tmp_path / "base.gguf", values, tiny_model("llama").config, "q8_0")

    reader = gguf.GGUFReader(tmp_path / "model.gguf")
    assert reader.alignment == 64
    assert "quantize.imatrix.file" not in reader.fields
    assert reader.fields["general.file_type"].contents() == gguf.LlamaFileType.MOSTLY_Q8_0
    assert reader.fields["general.quantization_version"].contents() == gguf.GGML_QUANT_VERSION
    embedding, own = reader.tensors
    assert gguf.dequantize(embedding.data, embedding.tensor_type).mean() == pytest.approx(2.0, rel=1e-3)
    assert own.data.tolist() == [0, 1, 2, 3, 4], "a tensor without a value is copied"


def test_norms_and_biases_stay_in_f32(tmp_path: Path) -> None:
    base = base_file("qwen3", tmp_path)
    (tmp_path / "two").mkdir()
    biased = base_file("qwen2", tmp_path / "two")

    half = kinds(write(read(base), base, tmp_path / "model.gguf", "f16"))
    half |= kinds(write(read(biased), biased, tmp_path / "two" / "model.gguf", "f16"))

    for name, kind in half.items():
        assert kind == ("F32" if "norm" in name or name.endswith(".bias") else "F16"), name
    assert "blk.0.attn_q.bias" in half
    assert "blk.0.attn_q_norm.weight" in half


def test_rows_that_blocks_of_q8_0_do_not_divide_are_f16(tmp_path: Path) -> None:
    base = base_file("llama", tmp_path, intermediate_size=64)

    found = kinds(write(read(base), base, tmp_path / "model.gguf", "q8_0"))

    assert found["blk.0.ffn_down.weight"] == "Q8_0"
    assert found["blk.0.attn_q.weight"] == "F16", "its rows have 48 numbers"
    assert found["blk.0.attn_norm.weight"] == "F32"


def test_numbers_too_large_for_f16_are_told(tmp_path: Path) -> None:
    base = base_file("llama", tmp_path)
    model = read(base)
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[0, 0] = 1e5

    with pytest.raises(ExportError, match=r"blk\.1\.ffn_up\.weight has numbers up to 1e\+05") as caught:
        write(model, base, tmp_path / "model.gguf", "f16")

    assert caught.value.hint == "Export with --type f32."
    assert kinds(write(model, base, tmp_path / "whole.gguf", "f32"))


def test_a_parameter_without_a_tensor_is_refused(tmp_path: Path) -> None:
    base = base_file("llama", tmp_path)
    model = read(base)
    state = dict(model.state_dict())

    with pytest.raises(ConfigError, match=r"no tensor for model\.layers\.0\.extra\.weight"):
        values_by_tensor({**state, "model.layers.0.extra.weight": torch.ones(2)}, model.config, base)
    with pytest.raises(ConfigError, match=r"no tensor for model\.norm\.weight of \(2,\)"):
        values_by_tensor({**state, "model.norm.weight": torch.ones(2)}, model.config, base)


def test_a_file_that_came_out_short_is_not_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = base_file("llama", tmp_path)
    model, close = read(base), gguf.GGUFWriter.close

    def cut(writer: Any) -> None:
        # As numpy writes to a disk that fills up: without a word.
        close(writer)
        Path(writer.path).write_bytes(Path(writer.path).read_bytes()[:-100])

    monkeypatch.setattr(gguf.GGUFWriter, "close", cut)
    pair = (torch.ones(2, 8), torch.ones(8, 2))
    for attempt in (
        lambda: write(model, base, tmp_path / "model.gguf", "f32"),
        lambda: write_unpacked(tmp_path / "unpacked.gguf", base),
        lambda: write_adapter(tmp_path / "adapter.gguf", {"blk.0.attn_q.weight": pair}, "llama"),
    ):
        with pytest.raises(OSError, match="No space left on device"):
            attempt()
