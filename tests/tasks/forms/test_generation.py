"""The generation form: what is learned behind a prompt, and what is written, a row at a time or in batches.

What is written is held against the plainest decoding: one row, no padding, no kept keys and values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from torch.distributed import FileStore
from torch.nn import functional
from transformers import GenerationConfig

from loretta_cli.errors import ConfigError, DataError
from loretta_cli.evaluation.evaluate import encode, evaluate
from loretta_cli.tasks.base import Example, Generation, Task
from loretta_cli.tasks.forms import make_form
from loretta_cli.tasks.forms.base import on_device
from loretta_cli.tasks.forms.generation import GenerationForm
from loretta_cli.tasks.forms.greedy import write
from loretta_cli.training.parallel import shard_base
from loretta_cli.tuners import LorettaAdpConfig, LorettaRepConfig
from tests.tiny_folders import decoder_tokenizer, encoder_decoder_tokenizer
from tests.tiny_models import TASK_TYPES, TINY, tiny_model

CAUSAL = sorted(name for name in TINY if TASK_TYPES[name] == "CAUSAL_LM")
PROMPTS = ("the sky", "the old house is in the city and the film was very great", "x", "a good story. ")
MOST = 6


@pytest.fixture(scope="module")
def decoder() -> Any:
    return decoder_tokenizer()


@pytest.fixture(scope="module")
def encoder_decoder() -> Any:
    return encoder_decoder_tokenizer()


def task(**changes: Any) -> Task:
    generation = Generation(render=lambda row: f"{row['text']}\nAnswer:", cut="text", max_new_tokens=MOST)
    return Task(
        name="ask",
        version=1,
        kind="generation",
        columns=("text",),
        read=lambda cells: Example(cells.texts("text")),
        metrics=("f1",),
        scorer="squad",
        generation=replace(generation, **changes),
    )


def asked(text: str, *answers: str) -> Example:
    return Example({"text": text}, answers=tuple((answer,) for answer in answers or ("warm light",)))


def decoding(
    model: Any, ids: list[int], most: int, ends: set[int | None], start: int | None = None
) -> list[int]:
    """Greedy tokens behind a prompt, each from one forward pass over everything before it."""
    written: list[int] = []
    while len(written) < most and not ends & set(written):
        if start is None:
            inputs = {"input_ids": torch.tensor([ids + written])}
        else:
            given = torch.tensor([[start, *written]])
            inputs = {"input_ids": torch.tensor([ids]), "decoder_input_ids": given}
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        with torch.inference_mode():
            written.append(int(model(**inputs, use_cache=False).logits[0, -1].argmax()))
    return written


def said(form: Any, model: Any, start: int | None = None) -> tuple[list[str], list[str]]:
    """What the form writes in one batch, and what plain decoding gives."""
    tokenizer = form.tokenizer
    rows = form.encode([asked(text) for text in PROMPTS]).rows
    with torch.inference_mode():
        found = [str(prediction.value) for prediction in form.predict(model, rows)]
    ends = {tokenizer.eos_token_id, model.generation_config.eos_token_id}
    plain = [decoding(model, row["input_ids"], MOST, ends, start) for row in rows]
    texts = [tokenizer.decode(ids, skip_special_tokens=True).partition("\n")[0].strip() for ids in plain]
    return found, texts


# Encoding


def test_the_first_accepted_answer_and_a_stop_are_learned(decoder: Any) -> None:
    form = GenerationForm(task(), decoder, 64)

    (row,) = form.encode([asked("the sun", "warm light", "light")]).rows

    assert row["input_ids"] == decoder("the sun\nAnswer:")["input_ids"]
    assert [decoder.decode(ids) for ids in row["options"]] == [" warm light\n"]


def test_without_a_stop_the_end_of_text_token_is_learned(decoder: Any) -> None:
    (row,) = GenerationForm(task(stop=()), decoder, 64).encode([asked("the sun")]).rows

    assert [decoder.decode(ids) for ids in row["options"]] == [" warm light</s>"]


def test_several_spans_are_learned_as_the_task_joins_them(decoder: Any) -> None:
    form = GenerationForm(task(answer=lambda spans: " " + " and ".join(spans)), decoder, 64)

    (row,) = form.encode([Example({"text": "the sun"}, answers=(("light", "day"),))]).rows

    assert decoder.decode(row["options"][0]) == " light and day\n"


def test_a_prompt_too_long_loses_the_end_of_its_cut_column(decoder: Any) -> None:
    form = GenerationForm(task(), decoder, 40)

    encoded = form.encode([asked("the river is cold water. " * 20), asked("the sun")])

    assert encoded.shortened == 1
    text = decoder.decode(encoded.rows[0]["input_ids"], skip_special_tokens=True)
    assert text.startswith("the river is cold")
    assert text.endswith("\nAnswer:")
    assert len(encoded.rows[0]["input_ids"]) + MOST <= 40


def test_room_is_left_for_the_longest_answer(decoder: Any) -> None:
    with pytest.raises(DataError, match="does not fit") as caught:
        GenerationForm(task(max_new_tokens=60), decoder, 64).encode([asked("the sun")])
    assert "task.max_new_tokens" in caught.value.hint


# Losses


def plain_loss(model: Any, prompt: list[int], answer: list[int]) -> float:
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    return float(functional.cross_entropy(logits.float(), torch.tensor(answer)))


def test_the_loss_is_the_mean_of_the_answers_tokens(decoder: Any) -> None:
    form = GenerationForm(task(), decoder, 64)
    rows = form.encode([asked("the sun"), asked("the old house is in the city", "no")]).rows
    model = tiny_model("llama", vocab_size=len(decoder))

    losses = form.losses(model, form.collate(rows))

    plain = [plain_loss(model, row["input_ids"], row["options"][0]) for row in rows]
    assert losses.tolist() == pytest.approx(plain, abs=1e-5)
    predicted = form.predict(model, rows)
    assert [prediction.loss for prediction in predicted] == pytest.approx(plain, abs=1e-5)


@pytest.mark.parametrize("only_loss", [False, True])
def test_the_loss_of_rows_is_the_mean_of_all_answers_tokens(decoder: Any, only_loss: bool) -> None:
    form = GenerationForm(task(), decoder, 64)
    examples = [asked("the sun"), asked("the old house", "no"), asked("x", "light " * 5)]
    model = tiny_model("llama", vocab_size=len(decoder))
    rows = form.encode(examples).rows
    counts = [len(row["options"][0]) for row in rows]
    losses = [plain_loss(model, row["input_ids"], row["options"][0]) for row in rows]
    expected = sum(loss * count for loss, count in zip(losses, counts, strict=True)) / sum(counts)

    found = evaluate(model, form, encode(form, examples), batch_size=2, only_loss=only_loss)

    assert found.metrics["loss"] == pytest.approx(expected, abs=1e-5)
    assert list(found.metrics) == (["loss"] if only_loss else ["f1", "loss"])


# Decoding


@pytest.mark.parametrize("family", CAUSAL)
def test_a_batch_is_written_as_each_row_alone(decoder: Any, family: str) -> None:
    model = tiny_model(family, vocab_size=len(decoder))

    # The text stands last: some families look at a few tokens only.
    form = GenerationForm(task(render=lambda row: f"Say {row['text']}"), decoder, 36)

    found, plain = said(form, model)

    assert found == plain
    assert len(set(found)) > 1


ADAPTERS: dict[str, Callable[[], Any]] = {
    "adp": lambda: LorettaAdpConfig(task_type="CAUSAL_LM", bottleneck=8, tt_rank=2),
    "rep": lambda: LorettaRepConfig(task_type="CAUSAL_LM", r=4, tt_rank=2),
    "lora": lambda: peft.LoraConfig(task_type="CAUSAL_LM", r=2),
    "prompt": lambda: peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
    "p-tuning": lambda: peft.PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
    "prefix": lambda: peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
}


def adapted(family: str, method: str, task_type: str, vocabulary: int) -> Any:
    """A tiny model with an adapter of one of PEFT's types that changes what it says."""
    config = ADAPTERS[method]()
    config.task_type = task_type
    torch.manual_seed(0)
    model = peft.get_peft_model(tiny_model(family, vocab_size=vocabulary), config).eval()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and "norm" not in name:
            parameter.data.normal_(0, 0.3)
    return model


@pytest.mark.parametrize("method", ADAPTERS)
def test_a_batch_with_an_adapter_is_written_as_each_row_alone(decoder: Any, method: str) -> None:
    model = adapted("llama", method, "CAUSAL_LM", len(decoder))

    found, plain = said(GenerationForm(task(), decoder, 64), model)

    assert found == plain
    assert found != said(GenerationForm(task(), decoder, 64), tiny_model("llama", vocab_size=len(decoder)))[0]


def test_an_encoder_decoder_writes_a_batch_as_each_row_alone(encoder_decoder: Any) -> None:
    model = tiny_model("t5", vocab_size=len(encoder_decoder))
    form = make_form("generation", task(), encoder_decoder, 64, decoder_start=0)

    found, plain = said(form, model, start=0)

    assert found == plain


@pytest.mark.parametrize("method", ["adp", "lora", "prompt", "p-tuning"])
def test_an_encoder_decoder_with_an_adapter_writes_too(encoder_decoder: Any, method: str) -> None:
    model = adapted("t5", method, "SEQ_2_SEQ_LM", len(encoder_decoder))

    found, plain = said(make_form("generation", task(), encoder_decoder, 64, decoder_start=0), model, start=0)

    assert found == plain


def test_the_decoder_learns_the_answer_and_its_end(encoder_decoder: Any) -> None:
    form = make_form("generation", task(), encoder_decoder, 64, decoder_start=0)
    model = tiny_model("t5", vocab_size=len(encoder_decoder))

    (row,) = form.encode([asked("the sun")]).rows

    assert encoder_decoder.decode(row["options"][0]) == "warm light</s>"
    given = torch.tensor([[0, *row["options"][0][:-1]]])
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([row["input_ids"]]), decoder_input_ids=given).logits[0]
        loss = form.losses(model, on_device(form.collate([row]), model))
    assert float(loss) == pytest.approx(
        float(functional.cross_entropy(logits, torch.tensor(row["options"][0]))), abs=1e-5
    )


def test_each_row_ends_at_its_own_stop(decoder: Any) -> None:
    model = tiny_model("llama", vocab_size=len(decoder))
    prompts = [decoder(text)["input_ids"] for text in PROMPTS]
    whole = [decoder.decode(decoding(model, ids, 30, {decoder.eos_token_id})) for ids in prompts]
    # Parts of each text, at places of their own, that may begin and end within a token.
    stops = [(text[3 * place + 2 : 3 * place + 5], "never said") for place, text in enumerate(whole)]

    found = write(model, prompts, stops, decoder, max_new_tokens=30, side="left")

    assert found == [text.partition(stop)[0].strip() for text, (stop, _) in zip(whole, stops, strict=True)]


def test_writing_goes_no_further_than_the_last_rows_stop(decoder: Any) -> None:
    model = tiny_model("llama", vocab_size=len(decoder))
    prompt = decoder("the sky")["input_ids"]
    first = decoder.decode(decoding(model, prompt, 1, set()))
    calls: list[int] = []
    model.register_forward_hook(lambda *_: calls.append(1))

    assert write(model, [prompt], [(first,)], decoder, max_new_tokens=30, side="left") == [""]
    assert len(calls) == 1


def test_an_end_token_of_the_checkpoint_ends_a_row_too(decoder: Any) -> None:
    model = tiny_model("llama", vocab_size=len(decoder))
    prompt = decoder("the sky")["input_ids"]
    plain = decoding(model, prompt, 8, set())
    third = plain[2]
    model.generation_config.eos_token_id = [third, decoder.eos_token_id]

    found = write(model, [prompt], [()], decoder, max_new_tokens=8, side="left")

    assert found == [decoder.decode(plain[: plain.index(third)], skip_special_tokens=True).strip()]


@pytest.mark.parametrize("method", [None, "lora"])
def test_generation_settings_of_the_checkpoint_change_nothing_and_stay(
    decoder: Any, method: str | None
) -> None:
    def model() -> Any:
        if method is None:
            return tiny_model("llama", vocab_size=len(decoder))
        return adapted("llama", method, "CAUSAL_LM", len(decoder))

    form = GenerationForm(task(), decoder, 64)
    changed = model()
    own = GenerationConfig(
        do_sample=True,
        temperature=5.0,
        top_k=3,
        num_beams=2,
        repetition_penalty=9.0,
        max_length=3,
        min_new_tokens=5,
        eos_token_id=2,
        forced_eos_token_id=7,
    )
    inner = changed if method is None else changed.get_base_model()
    changed.generation_config = inner.generation_config = own

    assert said(form, changed)[0] == said(form, model())[0]
    assert changed.generation_config is own
    assert inner.generation_config is own


@pytest.mark.parametrize("method", ["adp", "prompt"])
def test_a_model_in_parts_writes_the_same(decoder: Any, tmp_path: Path, method: str) -> None:
    prompts = [decoder(text)["input_ids"] for text in PROMPTS]
    whole, parts = (adapted("llama", method, "CAUSAL_LM", len(decoder)) for _ in range(2))

    def written(model: Any) -> list[str]:
        with torch.no_grad():
            return write(model, prompts, [("e",)] * len(prompts), decoder, max_new_tokens=MOST, side="left")

    store = FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        shard_base(parts)
        found = written(parts)
    finally:
        torch.distributed.destroy_process_group()

    assert found == written(whole)


# Which form


def test_texts_and_chats_are_not_for_encoder_decoders(encoder_decoder: Any) -> None:
    for other in (task(is_chat=True), replace(task(), kind="language-modeling")):
        with pytest.raises(ConfigError, match="needs a causal language model"):
            make_form("generation", other, encoder_decoder, 64, decoder_start=0)
