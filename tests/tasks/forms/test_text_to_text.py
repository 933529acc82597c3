"""The prompt form of encoder-decoders, held against the plainest computation: one option at a time."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch

from loretta_cli.errors import ConfigError, DataError
from loretta_cli.tasks import TASKS, Example
from loretta_cli.tasks.base import Prompt, Task
from loretta_cli.tasks.forms.text_to_text import TextToTextForm
from tests.tiny_folders import encoder_decoder_tokenizer, save_tiny_encoder_decoder

BOOLQ, SST2 = TASKS.get("boolq"), TASKS.get("sst2")
TEXTS = ("a film", "the film was very great and the story was good fun", "the old house is in the city", "x")
SINGLE = (" terrible", " great", " good")
SEVERAL = (" negative", " great", " absolutely positive")
PASSAGE = "the river is cold water and the sun is warm light. " * 6
both_kinds = pytest.mark.parametrize("options", [SINGLE, SEVERAL], ids=["single", "several"])


FORM = TextToTextForm(SST2, encoder_decoder_tokenizer(), 64, decoder_start=0)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return encoder_decoder_tokenizer()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    import transformers

    folder: Path = save_tiny_encoder_decoder(tmp_path_factory.mktemp("t5"))
    return transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()


def task_of(*options: str) -> Task:
    return replace(
        SST2,
        labels=tuple(map(str, range(len(options)))),
        prompt=Prompt(render=lambda row: f"{row['sentence']} It was", options=options, cut="sentence"),
    )


def rows_with(tokenizer: Any, options: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    examples = [Example({"sentence": text}, index % len(options)) for index, text in enumerate(TEXTS)]
    return TextToTextForm(task_of(*options), tokenizer, 100, decoder_start=0).encode(examples).rows


def question(passage: str) -> Example:
    return Example({"question": "is the sun warm", "passage": passage}, 1)


def plain_log_probabilities(model: Any, prompt: Sequence[int], option: Sequence[int]) -> torch.Tensor:
    """Log-probabilities of an option's tokens, one call of the decoder a token, without padding."""
    values = []
    for place, token in enumerate(option):
        given = torch.tensor([[0, *option[:place]]])
        logits = model(input_ids=torch.tensor([list(prompt)]), decoder_input_ids=given).logits
        values.append(logits[0, -1].log_softmax(-1)[token])
    return torch.stack(values)


def plain_scores(model: Any, rows: Sequence[dict[str, Any]]) -> torch.Tensor:
    with torch.no_grad():
        return torch.tensor(
            [
                [
                    float(plain_log_probabilities(model, row["input_ids"], option).mean())
                    for option in row["options"]
                ]
                for row in rows
            ]
        )


def scores(model: Any, rows: Sequence[dict[str, Any]]) -> torch.Tensor:
    with torch.no_grad():
        return FORM.scores(model, FORM.batch(rows))


# Encoding


def test_a_prompt_is_a_text_of_its_own_and_so_is_each_option(tokenizer: Any) -> None:
    (row,) = (
        TextToTextForm(SST2, tokenizer, 64, decoder_start=5)
        .encode([Example({"sentence": "a great film"}, 1)])
        .rows
    )
    assert row["input_ids"] == tokenizer("a great film It was")["input_ids"]
    assert row["input_ids"][-1] == tokenizer.eos_token_id
    assert row["decoder_input_ids"] == [5]
    assert row["options"] == [tokenizer.convert_tokens_to_ids([token]) for token in ("▁terrible", "▁great")]
    assert row["labels"] == 1


def test_only_the_end_of_the_cut_column_is_lost(tokenizer: Any) -> None:
    whole = TextToTextForm(BOOLQ, tokenizer, 10_000, decoder_start=0).encode([question(PASSAGE)])
    assert whole.shortened == 0
    length = len(whole.rows[0]["input_ids"])
    assert TextToTextForm(BOOLQ, tokenizer, length, decoder_start=0).encode([question(PASSAGE)]) == whole
    for less in (1, 2, 40):
        encoded = TextToTextForm(BOOLQ, tokenizer, length - less, decoder_start=0).encode([question(PASSAGE)])
        (row,) = encoded.rows
        assert encoded.shortened == 1
        assert length - less - 2 <= len(row["input_ids"]) <= length - less
        assert row["input_ids"][-1] == tokenizer.eos_token_id
        text = tokenizer.decode(row["input_ids"], skip_special_tokens=True)
        assert text.endswith(" Is the sun warm?\n")
        assert PASSAGE.startswith(text.removesuffix(" Is the sun warm?\n"))


def test_a_prompt_that_cannot_be_made_short_enough_is_refused(tokenizer: Any) -> None:
    with pytest.raises(DataError, match=r"does not fit data\.max_length=5 tokens, even without its passage"):
        TextToTextForm(BOOLQ, tokenizer, 5, decoder_start=0).encode([question("the sun")])


@pytest.mark.parametrize("options", [("yes", " yes"), ("", "yes")])
def test_options_that_are_the_same_tokens_or_none_are_refused(
    tokenizer: Any, options: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError, match="cannot be told apart"):
        TextToTextForm(task_of(*options), tokenizer, 64, decoder_start=0).encode(
            [Example({"sentence": "a"}, 0)]
        )


def test_options_of_one_token_make_one_row_a_prompt(tokenizer: Any) -> None:
    rows = rows_with(tokenizer, SINGLE)
    batch = FORM.batch(rows)
    assert batch.keys() - {"options", "labels"} == {
        *("input_ids", "attention_mask", "decoder_input_ids", "option_tokens")
    }
    found = [
        ids[mask.bool()].tolist()
        for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
    ]
    assert found == [row["input_ids"] for row in rows]
    assert batch["attention_mask"][:, 0].tolist() == [1] * 4
    assert batch["decoder_input_ids"].tolist() == [[0]] * 4
    assert batch["option_tokens"].tolist() == [[option[0] for option in row["options"]] for row in rows]
    assert batch["labels"].tolist() == [0, 1, 2, 0]


def test_options_of_several_tokens_make_one_row_an_option(tokenizer: Any) -> None:
    rows = rows_with(tokenizer, SEVERAL)
    options = rows[0]["options"]
    longest = max(map(len, options))
    batch = FORM.batch(rows)
    assert batch["input_ids"].shape[0] == len(rows) * 3
    assert batch["decoder_input_ids"].shape == batch["answer_ids"].shape == (len(rows) * 3, longest)
    for index, option in enumerate(options):
        assert batch["decoder_input_ids"][index, : len(option)].tolist() == [0, *option[:-1]]
        assert batch["answer_ids"][index, : len(option)].tolist() == option
    assert batch["option_lengths"].tolist() == list(map(len, options)) * len(rows)


# Scores


@both_kinds
def test_scores_are_mean_log_probabilities_of_the_answers(
    model: Any, tokenizer: Any, options: tuple[str, ...]
) -> None:
    rows = rows_with(tokenizer, options)
    assert ({len(option) for option in rows[0]["options"]} == {1}) == (options is SINGLE)
    found, expected = scores(model, rows), plain_scores(model, rows)
    assert found.shape == (len(TEXTS), 3)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@both_kinds
def test_padding_does_not_change_scores(model: Any, tokenizer: Any, options: tuple[str, ...]) -> None:
    rows = rows_with(tokenizer, options)
    alone = torch.cat([scores(model, [row]) for row in rows])
    torch.testing.assert_close(scores(model, rows), alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(scores(model, rows[::-1]).flip(0), alone, atol=1e-5, rtol=0)


def test_one_row_of_long_options_does_not_change_the_scores_of_the_others(model: Any, tokenizer: Any) -> None:
    rows = [*rows_with(tokenizer, SINGLE)[:2], rows_with(tokenizer, SEVERAL)[2]]
    torch.testing.assert_close(scores(model, rows), plain_scores(model, rows), atol=1e-5, rtol=0)


@both_kinds
def test_scores_of_half_precision_models_are_fp32(
    model: Any, tokenizer: Any, options: tuple[str, ...]
) -> None:
    rows = rows_with(tokenizer, options)
    found = scores(copy.deepcopy(model).to(torch.bfloat16), rows)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, scores(model, rows), atol=0.3, rtol=0)


@both_kinds
def test_the_gradient_of_the_loss_is_that_of_the_plain_computation(
    model: Any, tokenizer: Any, options: tuple[str, ...]
) -> None:
    rows = rows_with(tokenizer, options)
    batch = FORM.batch(rows)
    weights = [
        model.encoder.block[0].layer[0].SelfAttention.q.weight,
        model.decoder.block[1].layer[1].EncDecAttention.v.weight,
    ]
    found = torch.autograd.grad(FORM.losses(model, batch).mean(), weights)
    losses = []
    for row in rows:
        ranked = torch.stack(
            [plain_log_probabilities(model, row["input_ids"], option).mean() for option in row["options"]]
        )
        losses.append(ranked.logsumexp(0) - ranked[row["labels"]])
    expected = torch.autograd.grad(torch.stack(losses).mean(), weights)
    for one, other in zip(found, expected, strict=True):
        assert other.abs().max() > 1e-5
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-3)


@both_kinds
def test_a_model_with_an_adapter_is_scored_as_it_is(
    model: Any, tokenizer: Any, options: tuple[str, ...]
) -> None:
    config = peft.LoraConfig(task_type="SEQ_2_SEQ_LM", target_modules=["q", "v"])
    adapted = peft.get_peft_model(copy.deepcopy(model), config).eval()
    rows = rows_with(tokenizer, options)
    assert torch.equal(scores(adapted, rows), scores(model, rows))


def test_no_more_texts_are_read_at_once_than_there_are_rows(model: Any, tokenizer: Any) -> None:
    rows = rows_with(tokenizer, SEVERAL)
    seen: list[int] = []

    def keep(module: Any, inputs: Any, logits: torch.Tensor) -> None:
        seen.append(len(logits))

    with torch.inference_mode(), model.get_output_embeddings().register_forward_hook(keep):
        found = FORM.evaluation_scores(model, rows)
        assert seen == [len(rows)] * 3
        torch.testing.assert_close(found, FORM.scores(model, FORM.batch(rows)), atol=1e-5, rtol=0)
