"""llama.cpp in a process of its own: it computes what transformers does, and its faults are sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("gguf", reason="the extra test-export is not installed")
pytest.importorskip("xllamacpp", reason="the extra test-export is not installed")

from loretta_cli.artifacts.engines import EngineError, llama_cpp
from loretta_cli.artifacts.engines.llama_cpp import Option, ask
from tests.gguf_models import write_gguf
from tests.tiny_folders import decoder_tokenizer
from tests.tiny_models import tiny_model

TOKENIZER = decoder_tokenizer()
PROMPT = TOKENIZER("the film was great")["input_ids"]


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_model("llama", vocab_size=len(TOKENIZER))


@pytest.fixture(scope="module")
def file(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(model, TOKENIZER, tmp_path_factory.mktemp("gguf") / "model.gguf")


def greedy(model: Any, prompt: list[int], length: int) -> list[int]:
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(length):
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


def log_probabilities(model: Any, prompt: list[int], tokens: list[int]) -> list[float]:
    with torch.no_grad():
        found = model(torch.tensor([[*prompt, *tokens]])).logits[0].log_softmax(-1)
    return [float(found[len(prompt) - 1 + place, token]) for place, token in enumerate(tokens)]


def test_continuations_and_scores_are_those_of_transformers(model: Any, file: Path) -> None:
    prompts = [PROMPT, PROMPT[:2]]
    options = [[100], [7, 8, 9]]

    told = ask(file, prompts=prompts, length=6, options=[Option(PROMPT, tokens) for tokens in options])

    assert told.continuations == [greedy(model, prompt, 6) for prompt in prompts]
    for found, tokens in zip(told.options, options, strict=True):
        assert found == pytest.approx(log_probabilities(model, PROMPT, tokens), abs=1e-4)


def test_tokens_that_are_a_part_of_a_character_are_scored_too(model: Any, file: Path) -> None:
    parts = TOKENIZER("€", add_special_tokens=False)["input_ids"]
    assert len(parts) == 3

    (found,) = ask(file, options=[Option(PROMPT, parts)]).options

    assert found == pytest.approx(log_probabilities(model, PROMPT, parts), abs=1e-4)


def test_a_text_is_read_with_the_vocabulary_of_the_file(file: Path) -> None:
    told = ask(file, prompts=["the film was great", PROMPT], length=4).continuations

    assert told[0] == told[1]


def test_the_same_question_gets_the_same_answer(file: Path) -> None:
    first, second = (ask(file, prompts=[PROMPT], options=[Option(PROMPT, [5])]) for _ in range(2))

    assert first == second


@pytest.mark.parametrize("content", [b"hello", b""])
def test_a_file_that_is_no_model_is_a_sentence_and_no_noise(
    content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.gguf").write_bytes(content)

    with pytest.raises(EngineError, match=r"failed on bad\.gguf: ") as caught:
        ask(tmp_path / "bad.gguf", prompts=[PROMPT])

    assert caught.value.exit_code == 1
    assert capfd.readouterr() == ("", "")


def test_a_file_cut_short_and_one_that_is_missing_are_told_apart(file: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.gguf").write_bytes(file.read_bytes()[:-5000])

    with pytest.raises(EngineError, match=r"cut\.gguf: .*(bounds|corrupted|incomplete)"):
        ask(tmp_path / "cut.gguf", prompts=[PROMPT])
    with pytest.raises(EngineError, match="No such file"):
        ask(tmp_path / "none.gguf", prompts=[PROMPT])


def test_an_adapter_that_cannot_be_loaded_is_named(file: Path, tmp_path: Path) -> None:
    (tmp_path / "lora.gguf").write_bytes(b"hello")

    with pytest.raises(EngineError, match=r"model\.gguf with lora\.gguf: .*magic"):
        ask(file, adapters=[tmp_path / "lora.gguf"], prompts=[PROMPT])


def test_a_crash_of_the_process_ends_the_process_only(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashing = tmp_path / "crashing.py"
    crashing.write_text("import os\nos.abort()\n", encoding="utf-8")
    monkeypatch.setattr(llama_cpp, "_CHILD", crashing)

    with pytest.raises(EngineError, match="ended with code -6"):
        ask(file, prompts=[PROMPT])


def test_a_process_that_hangs_is_ended(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = tmp_path / "hanging.py"
    hanging.write_text("import threading\nthreading.Event().wait()\n", encoding="utf-8")
    monkeypatch.setattr(llama_cpp, "_CHILD", hanging)
    monkeypatch.setattr(llama_cpp, "SECONDS", 0.1)

    with pytest.raises(EngineError, match="not done with"):
        ask(file, prompts=[PROMPT])


def test_without_the_package_the_way_to_it_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert llama_cpp.is_installed()
    assert llama_cpp.engine_name().startswith("llama.cpp (xllamacpp 20")
    monkeypatch.setattr(llama_cpp, "is_installed", lambda: False)

    with pytest.raises(EngineError) as caught:
        ask(file, prompts=[PROMPT])

    assert caught.value.hint == "pip install xllamacpp"
    assert llama_cpp.engine_name() == "llama.cpp"
