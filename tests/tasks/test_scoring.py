"""Scores held against the plainest computation: one option at a time, all logits, no padding."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch

from loretta_cli.tasks import TASKS, Example
from loretta_cli.tasks.base import Prompt
from loretta_cli.tasks.encoding import PromptCollator, encode_prompts
from loretta_cli.tasks.scoring import head_scores, option_scores, scores_loss
from tests.tiny_folders import decoder_tokenizer, save_tiny_decoder
from tests.tiny_models import labelled_batch, tiny_model

TEXTS = ("a film", "the film was very great and the story was good fun", "the old house is in the city", "x")
SINGLE = (" terrible", " great", " good")
SEVERAL = (" negative", " great", " absolutely positive")


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    import transformers

    folder: Path = save_tiny_decoder(tmp_path_factory.mktemp("decoder"))
    return transformers.AutoModelForCausalLM.from_pretrained(folder).eval()


def rows_with(options: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    task = replace(
        TASKS.get("sst2"),
        labels=tuple(map(str, range(len(options)))),
        prompt=Prompt(render=lambda row: f"{row['sentence']} It was", options=options, cut="sentence"),
    )
    examples = [Example({"sentence": text}, index % len(options)) for index, text in enumerate(TEXTS)]
    return encode_prompts(task, examples, decoder_tokenizer(), 100).rows


def plain_score(model: Any, prompt: Sequence[int], option: Sequence[int]) -> float:
    """Mean log-probability of an option's tokens, from all logits of one unpadded row."""
    ids = torch.tensor([[*prompt, *option]])
    with torch.no_grad():
        log_probabilities = model(input_ids=ids).logits[0].double().log_softmax(-1)
    values = [log_probabilities[len(prompt) + place - 1, token] for place, token in enumerate(option)]
    return float(sum(values) / len(values))


def plain_scores(model: Any, rows: Sequence[dict[str, Any]]) -> torch.Tensor:
    return torch.tensor(
        [[plain_score(model, row["input_ids"], option) for option in row["options"]] for row in rows]
    )


def scores(model: Any, rows: Sequence[dict[str, Any]]) -> torch.Tensor:
    with torch.no_grad():
        return option_scores(model, PromptCollator(0)(rows))


@pytest.mark.parametrize("options", [SINGLE, SEVERAL], ids=["single", "several"])
def test_option_scores_are_mean_log_probabilities(decoder: Any, options: tuple[str, ...]) -> None:
    rows = rows_with(options)
    lengths = {len(option) for row in rows for option in row["options"]}
    assert (lengths == {1}) == (options is SINGLE)
    found, expected = scores(decoder, rows), plain_scores(decoder, rows)
    assert found.shape == (len(TEXTS), 3)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("options", [SINGLE, SEVERAL], ids=["single", "several"])
def test_padding_on_the_left_does_not_change_scores(decoder: Any, options: tuple[str, ...]) -> None:
    rows = rows_with(options)
    alone = torch.cat([scores(decoder, [row]) for row in rows])
    torch.testing.assert_close(scores(decoder, rows), alone, atol=1e-5, rtol=0)
    reverse = scores(decoder, rows[::-1]).flip(0)
    torch.testing.assert_close(reverse, alone, atol=1e-5, rtol=0)


def test_one_row_of_long_options_does_not_change_the_scores_of_the_others(decoder: Any) -> None:
    """A batch is scored option by option as soon as one option has several tokens."""
    rows = [*rows_with(SINGLE)[:2], rows_with(SEVERAL)[2]]
    torch.testing.assert_close(scores(decoder, rows), plain_scores(decoder, rows), atol=1e-5, rtol=0)


def test_single_option_scores_equal_those_of_the_general_way(decoder: Any) -> None:
    rows = rows_with(SINGLE)
    texts = [row["input_ids"] + option for row in rows for option in row["options"]]
    batch = PromptCollator(0)([{"input_ids": text, "options": [[0]], "labels": 0} for text in texts])
    batch["option_lengths"] = torch.ones(len(rows), 3, dtype=torch.long)
    del batch["option_tokens"]
    with torch.no_grad():
        general = option_scores(decoder, batch)
    torch.testing.assert_close(scores(decoder, rows), general, atol=1e-5, rtol=0)


@pytest.mark.parametrize("options", [SINGLE, SEVERAL], ids=["single", "several"])
def test_scores_of_half_precision_models_are_fp32(decoder: Any, options: tuple[str, ...]) -> None:
    model = copy.deepcopy(decoder).to(torch.bfloat16)
    found = scores(model, rows_with(options))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, scores(decoder, rows_with(options)), atol=0.2, rtol=0)


@pytest.mark.parametrize("options", [SINGLE, SEVERAL], ids=["single", "several"])
def test_the_gradient_of_the_loss_is_that_of_the_plain_computation(
    decoder: Any, options: tuple[str, ...]
) -> None:
    rows = rows_with(options)
    batch = PromptCollator(0)(rows)
    weight = decoder.model.layers[0].self_attn.q_proj.weight
    (found,) = torch.autograd.grad(scores_loss(option_scores(decoder, batch), batch["labels"]), [weight])
    losses = []
    for row in rows:
        one = []
        for option in row["options"]:
            logits = decoder(input_ids=torch.tensor([row["input_ids"] + option])).logits[0].log_softmax(-1)
            start = len(row["input_ids"]) - 1
            one.append(torch.stack([logits[start + i, token] for i, token in enumerate(option)]).mean())
        ranked = torch.stack(one)
        losses.append(ranked.logsumexp(0) - ranked[row["labels"]])
    (expected,) = torch.autograd.grad(torch.stack(losses).mean(), [weight])
    assert expected.abs().max() > 1e-4
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


class OldModel(torch.nn.Module):
    """A language model whose forward has neither ``position_ids`` nor ``logits_to_keep``."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, *, use_cache: bool) -> Any:
        """All logits, at positions that do not count padding."""
        positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
        return self.model(input_ids=input_ids, attention_mask=attention_mask, position_ids=positions)


@pytest.mark.parametrize("options", [SINGLE, SEVERAL], ids=["single", "several"])
def test_a_model_that_computes_all_logits_has_the_same_scores(decoder: Any, options: tuple[str, ...]) -> None:
    rows = rows_with(options)
    torch.testing.assert_close(scores(OldModel(decoder), rows), scores(decoder, rows), atol=1e-5, rtol=0)


@pytest.mark.parametrize("options", [SINGLE, SEVERAL], ids=["single", "several"])
@pytest.mark.parametrize("adapted", [False, True], ids=["base", "peft"])
def test_padding_does_not_shift_the_positions_of_a_model_that_learns_them(
    options: tuple[str, ...], adapted: bool
) -> None:
    model = tiny_model("gpt2", vocab_size=len(decoder_tokenizer()), n_positions=64)
    if adapted:
        model = peft.get_peft_model(
            model, peft.LoraConfig(target_modules=["c_attn"], fan_in_fan_out=True)
        ).eval()
    rows = rows_with(options)
    torch.testing.assert_close(scores(model, rows), plain_scores(model, rows), atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["bert", "roberta", "llama-classifier"])
def test_head_scores_are_the_logits(family: str) -> None:
    model = tiny_model(family)
    batch = labelled_batch(family)
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    with torch.no_grad():
        found, expected = head_scores(model, batch), model(**inputs).logits
    assert found.shape == (4, 3)
    assert torch.equal(found, expected)


def test_head_scores_of_a_half_precision_model_are_fp32() -> None:
    model = tiny_model("bert", dtype=torch.bfloat16)
    assert head_scores(model, labelled_batch("bert")).dtype == torch.float32


def test_the_loss_is_the_mean_cross_entropy() -> None:
    given = torch.tensor([[1.0, 2.0, -1.0], [0.5, 0.5, 0.5]])
    labels = torch.tensor([2, 0])
    by_hand = -(given.exp() / given.exp().sum(-1, keepdim=True)).log()[[0, 1], labels].mean()
    torch.testing.assert_close(scores_loss(given, labels), by_hand)
    assert float(scores_loss(given[1:], labels[1:])) == pytest.approx(1.0986123)
