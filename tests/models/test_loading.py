"""Loading tiny model folders: heads, new modules, number types, and what is said of a broken folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoConfig, BertForSequenceClassification

from loretta_cli.errors import ModelError
from loretta_cli.measure.parameters import count_base
from loretta_cli.models.families import Form
from loretta_cli.models.loading import (
    architecture_config,
    choose_dtype,
    empty_model,
    load_config,
    load_model,
    load_tokenizer,
)
from loretta_cli.models.source import ModelSource, find_model
from tests.tiny_folders import (
    decoder_tokenizer,
    save_tiny_decoder,
    save_tiny_encoder,
    save_tiny_encoder_decoder,
)
from tests.tiny_models import tiny_config, tiny_model

LABELS = ("cold", "mild", "warm")
CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Form, Path]:
    """A tiny encoder and a tiny decoder; tests that change one copy it."""
    parent = tmp_path_factory.mktemp("models")
    return {
        "classification": save_tiny_encoder(parent / "encoder"),
        "prompt": save_tiny_decoder(parent / "decoder"),
    }


def load(folder: Path, form: Form, **options: Any) -> Any:
    return load_model(
        find_model(str(folder)), form, labels=LABELS if form == "classification" else (), **options
    )


def change_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_an_encoder_gets_a_new_head_for_the_labels(folders: dict[Form, Path]) -> None:
    loaded = load(folders["classification"], "classification")
    assert loaded.new_modules == ("classifier",)
    assert loaded.model.classifier.out_features == 3
    assert loaded.model.config.id2label == {0: "cold", 1: "mild", 2: "warm"}
    assert loaded.model.config.label2id == {"cold": 0, "mild": 1, "warm": 2}
    assert not loaded.model.training


def test_the_base_of_an_encoder_is_as_saved(folders: dict[Form, Path]) -> None:
    from safetensors.torch import load_file

    saved = load_file(folders["classification"] / "model.safetensors")
    state = load(folders["classification"], "classification").model.base_model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in saved.items())


def test_a_decoder_is_whole(folders: dict[Form, Path]) -> None:
    loaded = load(folders["prompt"], "prompt")
    assert loaded.new_modules == ()
    assert type(loaded.model).__name__ == "LlamaForCausalLM"


def test_a_decoder_with_tied_embeddings_lacks_nothing(tmp_path: Path) -> None:
    import transformers

    config = tiny_config("llama", tie_word_embeddings=True)
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path)
    assert load(tmp_path, "prompt").new_modules == ()


def test_an_encoder_decoder_is_whole_and_its_decoder_can_begin(tmp_path: Path) -> None:
    folder = save_tiny_encoder_decoder(tmp_path)
    change_config(folder, decoder_start_token_id=None)
    loaded = load(folder, "prompt")
    assert loaded.new_modules == ()
    assert type(loaded.model).__name__ == "T5ForConditionalGeneration"
    assert loaded.model.lm_head.weight is loaded.model.shared.weight
    assert loaded.model.config.decoder_start_token_id == loaded.model.config.pad_token_id == 0


def test_an_encoder_decoder_gets_a_head_where_classification_is_asked_for(tmp_path: Path) -> None:
    folder = save_tiny_encoder_decoder(tmp_path)
    change_config(folder, decoder_start_token_id=None)
    loaded = load(folder, "classification")
    assert loaded.new_modules == ("classification_head.dense", "classification_head.out_proj")
    assert loaded.model.classification_head.out_proj.out_features == 3
    ids = torch.tensor([[5, 6, 1]])  # the head needs the token that begins the decoder
    assert loaded.model(input_ids=ids).logits.shape == (1, 3)


def test_an_output_layer_beside_the_embedding_is_kept_and_counted(tmp_path: Path) -> None:
    model = tiny_model("t5-gated")
    model.save_pretrained(tmp_path)
    loaded = load(tmp_path, "prompt").model
    assert torch.equal(loaded.lm_head.weight, model.lm_head.weight)
    assert not torch.equal(loaded.lm_head.weight, loaded.shared.weight)
    assert loaded.config.tie_word_embeddings is False
    assert loaded.config.scale_decoder_outputs is False
    empty = empty_model(load_config(find_model(str(tmp_path))), "prompt")
    assert count_base(empty) == count_base(loaded)


def test_a_tied_output_layer_is_counted_once() -> None:
    for name in ("t5", "t5-classifier"):
        form: Form = "classification" if name.endswith("classifier") else "prompt"
        assert count_base(empty_model(tiny_config(name), form, 3)) == count_base(tiny_model(name))


def test_a_decoder_gets_a_head_where_classification_is_asked_for(folders: dict[Form, Path]) -> None:
    loaded = load(folders["prompt"], "classification", pad_token_id=0)
    assert loaded.new_modules == ("score",)
    assert loaded.model.score.out_features == 3


def test_a_trained_head_of_the_same_labels_is_kept(folders: dict[Form, Path], tmp_path: Path) -> None:
    first = load(folders["classification"], "classification").model
    first.save_pretrained(tmp_path)
    loaded = load(tmp_path, "classification")
    assert loaded.new_modules == ()
    assert torch.equal(loaded.model.classifier.weight, first.classifier.weight)


def test_a_trained_head_of_other_labels_is_replaced_and_told(
    folders: dict[Form, Path], tmp_path: Path
) -> None:
    load_model(
        find_model(str(folders["classification"])), "classification", labels=("a", "b")
    ).model.save_pretrained(tmp_path)
    loaded = load(tmp_path, "classification")
    assert loaded.new_modules == ("classifier",)
    assert loaded.model.classifier.out_features == 3


def test_the_model_pads_as_the_tokenizer_does(folders: dict[Form, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["prompt"], tmp_path / "model")
    change_config(folder, pad_token_id=None)
    assert load(folder, "prompt", pad_token_id=7).model.config.pad_token_id == 7
    # A head on a decoder would else take padding for the last token.
    assert load(folders["prompt"], "prompt", pad_token_id=7).model.config.pad_token_id == 7


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_weights_have_the_dtype_asked_for(folders: dict[Form, Path], dtype: torch.dtype) -> None:
    model = load(folders["classification"], "classification", dtype=dtype).model
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}


def test_a_tokenizer_is_read_from_the_folder(folders: dict[Form, Path]) -> None:
    tokenizer = load_tokenizer(find_model(str(folders["prompt"])))
    text = "The film was great?"
    assert tokenizer(text)["input_ids"] == decoder_tokenizer()(text)["input_ids"]
    assert tokenizer.pad_token_id == 0


def test_a_tokenizer_without_padding_pads_with_its_end_of_text(tmp_path: Path) -> None:
    folder = save_tiny_decoder(tmp_path)
    tokenizer = decoder_tokenizer()
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    assert load_tokenizer(find_model(str(folder))).pad_token == "</s>"
    tokenizer.eos_token = None
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match="neither a padding nor an end-of-text token"):
        load_tokenizer(find_model(str(folder)))


def remove_tokenizer(folder: Path) -> None:
    for path in folder.glob("token*"):
        path.unlink()


def cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def widen(folder: Path) -> None:
    change_config(folder, hidden_size=64)


BROKEN: dict[str, Callable[[Path], object]] = {
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "cut weights": cut_weights,
    "empty weights": write("model.safetensors", ""),
    "config is no JSON": write("config.json", "{"),
    "config without a type": write("config.json", "{}"),
    "unknown model type": write("config.json", '{"model_type": "no-such-type"}'),
    "no tokenizer": remove_tokenizer,
    "tokenizer is no JSON": write("tokenizer.json", "{"),
    "empty tokenizer": write("tokenizer.json", "{}"),
    "weights of another size": widen,
}


@pytest.mark.parametrize("form", ["classification", "prompt"])
@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_folder_is_told_in_one_sentence(
    folders: dict[Form, Path], tmp_path: Path, form: Form, fault: str
) -> None:
    folder = shutil.copytree(folders[form], tmp_path / "model")
    BROKEN[fault](folder)
    model = find_model(str(folder))
    with pytest.raises(ModelError) as caught:  # noqa: PT012 - which of the three fails depends on the fault
        load_config(model)
        load_tokenizer(model)
        load(folder, form)
    assert str(folder) in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_a_model_without_the_form_is_told(tmp_path: Path) -> None:
    AutoConfig.for_model("vit").save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="ViTConfig"):
        load(tmp_path, "classification")
    with pytest.raises(ModelError, match="A model of type vit has no prompt form"):
        empty_model(AutoConfig.for_model("vit"), "prompt")


def test_a_hub_id_that_cannot_be_had_is_told_with_the_way_out() -> None:
    nowhere = ModelSource("org/no-such-model", "org/no-such-model", is_local=False)
    for read in (load_config, load_tokenizer, lambda source: load_model(source, "prompt")):
        with pytest.raises(ModelError, match="Cannot read the model 'org/no-such-model'") as caught:
            read(nowhere)
        assert "\n" not in caught.value.message
        assert "A local folder needs no hub" in caught.value.hint


def test_a_local_folder_with_a_well_known_name_wins_over_the_bundled_facts(
    folders: dict[Form, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folders["prompt"], tmp_path / "llama-2-7b")
    assert architecture_config(find_model("llama-2-7b")).hidden_size == 32
    (tmp_path / "llama-2-7b").rename(tmp_path / "moved")
    assert architecture_config(find_model("llama-2-7b")).hidden_size == 4096


def test_an_empty_model_takes_no_memory_and_has_the_labels() -> None:
    model = empty_model(tiny_config("bert"), "classification", 5)
    assert isinstance(model, BertForSequenceClassification)
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert model.classifier.out_features == 5


@pytest.mark.parametrize(
    ("asked", "stored", "device", "chosen"),
    [
        ("auto", torch.float32, CPU, torch.float32),
        ("auto", torch.bfloat16, CPU, torch.float32),
        ("auto", None, CPU, torch.float32),
        ("auto", torch.float32, GPU, torch.float32),
        ("auto", None, GPU, torch.float32),
        ("auto", torch.bfloat16, GPU, torch.bfloat16),
        ("auto", torch.float16, GPU, torch.bfloat16),
        ("float32", torch.bfloat16, GPU, torch.float32),
        ("bfloat16", torch.float32, CPU, torch.bfloat16),
        ("float16", None, CPU, torch.float16),
    ],
)
def test_the_dtype_is_as_asked_or_fits_the_device_and_the_checkpoint(
    monkeypatch: pytest.MonkeyPatch, asked: str, stored: Any, device: torch.device, chosen: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert choose_dtype(asked, SimpleNamespace(dtype=stored), device) == chosen


def test_a_gpu_without_bf16_takes_fp16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert choose_dtype("auto", SimpleNamespace(dtype=torch.bfloat16), GPU) == torch.float16


def test_the_dtype_of_a_checkpoint_is_read_from_its_config(folders: dict[Form, Path], tmp_path: Path) -> None:
    load(folders["prompt"], "prompt", dtype=torch.bfloat16).model.save_pretrained(tmp_path)
    config = load_config(find_model(str(tmp_path)))
    assert choose_dtype("auto", config, CPU) == torch.float32
    assert config.dtype == torch.bfloat16


def test_an_empty_model_leaves_the_config_as_it_was() -> None:
    config = tiny_config("bert", num_labels=4)

    assert empty_model(config, "classification", 7).config.num_labels == 7
    assert config.num_labels == 4
