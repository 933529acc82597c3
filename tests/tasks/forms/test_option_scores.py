"""Scores of options held against the plainest computation: one option at a time, all logits, no padding."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch

from loretta_cli.tasks.forms.prompt import PromptForm
from tests.prompts import review, task_of
from tests.tiny_folders import decoder_tokenizer, save_tiny_decoder
from tests.tiny_models import TASK_TYPES, TINY, tiny_model

CAUSAL = {name for name in TINY if TASK_TYPES[name] == "CAUSAL_LM"}
TEXTS = ("a film", "the film was very great and the story was good fun", "the old house is in the city", "x")
SINGLE = (" terrible", " great", " good")
SEVERAL = (" negative", " great", " absolutely positive")
both_kinds = pytest.mark.parametrize("options", [SINGLE, SEVERAL], ids=["single", "several"])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    import transformers

    folder: Path = save_tiny_decoder(tmp_path_factory.mktemp("decoder"))
    return transformers.AutoModelForCausalLM.from_pretrained(folder).eval()


def form_with(options: tuple[str, ...]) -> PromptForm:
    return PromptForm(task_of("{} It was", *options), decoder_tokenizer(), 100)


def rows_with(options: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    examples = [review(text, index % len(options)) for index, text in enumerate(TEXTS)]
    return form_with(options).encode(examples).rows


def plain_score(model: Any, prompt: Sequence[int], option: Sequence[int]) -> float:
    """Mean log-probability of an option's tokens, from all logits of one unpadded row."""
    ids = torch.tensor([[*prompt, *option]])
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -ids.shape[1] :]
    log_probabilities = logits.double().log_softmax(-1)
    values = [log_probabilities[len(prompt) + place - 1, token] for place, token in enumerate(option)]
    return float(sum(values) / len(values))


def plain_scores(model: Any, rows: Sequence[dict[str, Any]]) -> torch.Tensor:
    return torch.tensor(
        [[plain_score(model, row["input_ids"], option) for option in row["options"]] for row in rows]
    )


FORM = form_with(SINGLE)


def scores(model: Any, rows: Sequence[dict[str, Any]]) -> torch.Tensor:
    """As training computes them."""
    with torch.no_grad():
        return FORM.scores(model, FORM.batch(rows))


@both_kinds
def test_option_scores_are_mean_log_probabilities(model: Any, options: tuple[str, ...]) -> None:
    rows = rows_with(options)
    lengths = {len(option) for row in rows for option in row["options"]}
    assert (lengths == {1}) == (options is SINGLE)
    found, expected = scores(model, rows), plain_scores(model, rows)
    assert found.shape == (len(TEXTS), 3)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@both_kinds
def test_padding_on_the_left_does_not_change_scores(model: Any, options: tuple[str, ...]) -> None:
    rows = rows_with(options)
    alone = torch.cat([scores(model, [row]) for row in rows])
    torch.testing.assert_close(scores(model, rows), alone, atol=1e-5, rtol=0)
    reverse = scores(model, rows[::-1]).flip(0)
    torch.testing.assert_close(reverse, alone, atol=1e-5, rtol=0)


def test_one_row_of_long_options_does_not_change_the_scores_of_the_others(model: Any) -> None:
    """A batch is scored option by option as soon as one option has several tokens."""
    rows = [*rows_with(SINGLE)[:2], rows_with(SEVERAL)[2]]
    torch.testing.assert_close(scores(model, rows), plain_scores(model, rows), atol=1e-5, rtol=0)


def test_single_option_scores_equal_those_of_the_general_way(model: Any) -> None:
    rows = rows_with(SINGLE)
    texts = [
        {**row, "input_ids": row["input_ids"] + o, "options": [[0]]} for row in rows for o in row["options"]
    ]
    batch = {**FORM.batch(texts), "option_lengths": torch.ones(12, dtype=torch.long)}
    del batch["option_tokens"]
    batch["options"] = torch.tensor([3] * 4)
    with torch.no_grad():
        general = FORM.scores(model, batch)
    torch.testing.assert_close(scores(model, rows), general, atol=1e-5, rtol=0)


@both_kinds
def test_scores_of_half_precision_models_are_fp32(model: Any, options: tuple[str, ...]) -> None:
    model = copy.deepcopy(model).to(torch.bfloat16)
    found = scores(model, rows_with(options))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, scores(model, rows_with(options)), atol=0.2, rtol=0)


@both_kinds
def test_the_gradient_of_the_loss_is_that_of_the_plain_computation(
    model: Any, options: tuple[str, ...]
) -> None:
    rows = rows_with(options)
    batch = FORM.batch(rows)
    weight = model.model.layers[0].self_attn.q_proj.weight
    (found,) = torch.autograd.grad(FORM.losses(model, batch).mean(), [weight])
    losses = []
    for row in rows:
        one = []
        for option in row["options"]:
            logits = model(input_ids=torch.tensor([row["input_ids"] + option])).logits[0].log_softmax(-1)
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


@both_kinds
def test_a_model_that_computes_all_logits_has_the_same_scores(model: Any, options: tuple[str, ...]) -> None:
    rows = rows_with(options)
    torch.testing.assert_close(scores(OldModel(model), rows), scores(model, rows), atol=1e-5, rtol=0)


@both_kinds
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


# Evaluation


def evaluated(model: Any, form: PromptForm, rows: Sequence[dict[str, Any]]) -> torch.Tensor:
    with torch.no_grad():
        return form.evaluation_scores(model, rows)


@both_kinds
@pytest.mark.parametrize("family", sorted(CAUSAL))
def test_a_prompt_that_is_read_once_gives_the_same_scores(family: str, options: tuple[str, ...]) -> None:
    """Rows of one batch have different lengths, so the kept keys and values are padded on the left."""
    model = tiny_model(family, vocab_size=len(decoder_tokenizer()))
    form, rows = form_with(options), rows_with(options)
    torch.testing.assert_close(evaluated(model, form, rows), scores(model, rows), atol=1e-4, rtol=0)


def test_a_prompt_is_read_once_for_options_of_several_tokens(model: Any) -> None:
    seen: list[int] = []
    embedding = model.get_input_embeddings()
    handle = embedding.register_forward_hook(lambda module, ids, output: seen.append(ids[0].numel()))
    rows = rows_with(SEVERAL)
    evaluated(model, form_with(SEVERAL), rows)
    shared = sum(seen)
    seen.clear()
    scores(model, rows)
    handle.remove()
    longest = max(len(row["input_ids"]) for row in rows)
    widest = max(len(option) for row in rows for option in row["options"])
    assert shared == len(rows) * longest + 3 * len(rows) * (widest - 1)
    assert sum(seen) == 3 * len(rows) * (longest + widest)


def test_no_more_texts_are_read_at_once_than_there_are_rows(model: Any) -> None:
    """Each has a copy of its prompt's keys and values, and logits."""
    options = ("good", "absolutely positive", "bad", "very negative", "great fun")
    form = form_with(())
    rows = form.encode([review("a film", 1, options=options), review("the sun", 0, options=options[:2])]).rows
    seen: list[int] = []
    handle = model.get_input_embeddings().register_forward_hook(
        lambda module, ids, output: seen.append(len(ids[0]))
    )
    found = evaluated(model, form, rows)
    handle.remove()
    assert seen == [2, 2, 2, 2, 1]
    torch.testing.assert_close(found, scores(model, rows), atol=1e-5, rtol=0)


def test_a_row_with_its_own_options_is_scored_on_them_alone(model: Any) -> None:
    form = form_with(())
    examples = [
        review("a film", 1, options=("good", "absolutely positive", "bad")),
        review("the sun is warm and the river is cold", 0, options=("great", "negative")),
    ]
    rows = form.encode(examples).rows
    found = evaluated(model, form, rows)
    for place, row in enumerate(rows):
        expected = [plain_score(model, row["input_ids"], option) for option in row["options"]]
        assert found[place, : len(expected)].tolist() == pytest.approx(expected, abs=1e-5)
    assert found[1, 2] == -torch.inf


def test_of_its_own_options_a_row_is_trained_on_the_right_one(model: Any) -> None:
    form = form_with(())
    row = form.encode([review("a film", 1, options=("good", "absolutely positive"))]).rows[0]
    batch = form.collate([row])
    assert batch["input_ids"].tolist() == [row["input_ids"] + row["options"][1]]
    with torch.no_grad():
        loss = float(form.losses(model, batch))
        (prediction,) = form.predict(model, [row])
    assert loss == pytest.approx(-plain_score(model, row["input_ids"], row["options"][1]), abs=1e-5)
    assert prediction.loss == pytest.approx(loss, abs=1e-5)
    assert prediction.scores[1] == pytest.approx(-loss, abs=1e-5)


@both_kinds
def test_a_calibrated_score_is_less_that_behind_the_prompt_without_its_context(
    model: Any, options: tuple[str, ...]
) -> None:
    form = replace(form_with(options), calibrated=True)
    row = form.encode([review("the film was very great", 1)]).rows[0]
    assert form.tokenizer.decode(row["context_free"]["input_ids"], skip_special_tokens=True) == " It was"
    expected = [
        plain_score(model, row["input_ids"], option)
        - plain_score(model, row["context_free"]["input_ids"], free)
        for option, free in zip(row["options"], row["context_free"]["options"], strict=True)
    ]
    with torch.no_grad():
        (prediction,) = form.predict(model, [row])
        (plain,) = replace(form, calibrated=False).predict(model, [row])
    assert prediction.scores == pytest.approx(expected, abs=1e-5)
    assert prediction.value == max(range(3), key=expected.__getitem__)
    assert prediction.loss == plain.loss, "the loss is that of training, which knows no calibration"


@both_kinds
@pytest.mark.parametrize("kind", [peft.PromptTuningConfig, peft.PrefixTuningConfig])
@pytest.mark.parametrize("family", ["llama", "gpt2", "opt"])
def test_virtual_tokens_stand_right_before_each_text(
    family: str, kind: Any, options: tuple[str, ...]
) -> None:
    model = tiny_model(family, vocab_size=len(decoder_tokenizer()))
    adapted = peft.get_peft_model(model, kind(task_type="CAUSAL_LM", num_virtual_tokens=3)).eval()
    rows = rows_with(options)
    expected = plain_scores(adapted, rows)
    torch.testing.assert_close(scores(adapted, rows), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(evaluated(adapted, form_with(options), rows), expected, atol=1e-4, rtol=0)


def test_a_tie_is_a_tie(model: Any) -> None:
    form, rows = form_with(SINGLE), rows_with(SINGLE)
    assert not any(prediction.is_tie for prediction in form.predict(model, rows))
    tied = [{**row, "options": [row["options"][0]] * 2, "labels": 0} for row in rows]
    assert all(prediction.is_tie for prediction in form.predict(model, tied))


def test_where_options_stand_for_a_scale_nothing_is_chosen_and_no_tie_is_possible(model: Any) -> None:
    form = form_with(SINGLE)
    scale = replace(form, task=replace(form.task, kind="regression", values=(0.0, 1.0, 2.0)))
    tied = [{**row, "options": [row["options"][0]] * 3, "labels": 0.0} for row in rows_with(SINGLE)]
    with torch.no_grad():
        assert not any(prediction.is_tie for prediction in scale.predict(model, tied))
