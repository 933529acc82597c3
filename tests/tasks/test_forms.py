"""The two forms of a task: what each encodes, collates and scores, and the longest row."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from loretta_cli.errors import DataError
from loretta_cli.models.families import Form
from loretta_cli.tasks import TASKS, Example
from loretta_cli.tasks.forms import LONGEST, TaskForm, longest_row
from loretta_cli.tasks.scoring import head_scores, option_scores, text_to_text_scores
from tests.tiny_folders import decoder_tokenizer, encoder_decoder_tokenizer, encoder_tokenizer

SST2 = TASKS.get("sst2")
EXAMPLES = [Example({"sentence": "a great film"}, 1), Example({"sentence": "bad " * 40}, 0)]


def test_the_classification_form_makes_batches_for_a_head() -> None:
    form = TaskForm("classification", encoder_tokenizer(), 16)
    encoded = form.encode(SST2, EXAMPLES)
    assert encoded.shortened == 1
    batch = form.collate(encoded.rows)
    assert batch["input_ids"].shape == (2, 16)
    assert (form.task_type, form.scorer) == ("SEQ_CLS", head_scores)


def test_the_prompt_form_makes_batches_of_options() -> None:
    form = TaskForm("prompt", decoder_tokenizer(), 32)
    encoded = form.encode(SST2, EXAMPLES)
    assert encoded.shortened == 1
    batch = form.collate(encoded.rows)
    assert batch["option_tokens"].shape == (2, 2)
    padding = batch["input_ids"][batch["attention_mask"] == 0]
    assert len(padding) > 0
    assert torch.all(padding == form.tokenizer.pad_token_id)
    assert (form.task_type, form.scorer) == ("CAUSAL_LM", option_scores)


def test_the_prompt_form_of_an_encoder_decoder_is_text_to_text() -> None:
    form = TaskForm("prompt", encoder_decoder_tokenizer(), 32, decoder_start=0)
    encoded = form.encode(SST2, EXAMPLES)
    assert encoded.shortened == 1
    batch = form.collate(encoded.rows)
    assert batch["decoder_input_ids"].tolist() == [[0], [0]]
    assert batch["option_tokens"].shape == (2, 2)
    assert (form.task_type, form.scorer) == ("SEQ_2_SEQ_LM", text_to_text_scores)


def test_the_classification_form_of_an_encoder_decoder_wants_ends_of_texts() -> None:
    form = TaskForm("classification", encoder_decoder_tokenizer(), 32, decoder_start=0)
    assert form.collate(form.encode(SST2, EXAMPLES).rows)["input_ids"].shape == (2, 32)
    assert (form.task_type, form.scorer) == ("SEQ_CLS", head_scores)
    with pytest.raises(DataError, match="end-of-text"):
        form.encode(SST2, [*EXAMPLES, Example({"sentence": "a </s> b"}, 0)])


@pytest.mark.parametrize(
    ("form", "asked", "model_type", "positions", "longest"),
    [
        ("classification", None, "bert", 512, LONGEST["classification"]),
        ("classification", 300, "bert", 512, 300),
        ("classification", 900, "bert", 512, 512),
        ("classification", None, "bert", 128, 128),
        ("classification", 900, "roberta", 514, 512),
        ("classification", 900, "mpnet", 514, 512),
        ("prompt", None, "llama", 4096, LONGEST["prompt"]),
        ("prompt", 2048, "llama", 4096, 2048),
        ("prompt", None, "llama", 128, 128),
    ],
)
def test_the_longest_row_is_as_asked_within_the_models_positions(
    form: Form, asked: int | None, model_type: str, positions: int, longest: int
) -> None:
    config = SimpleNamespace(model_type=model_type, max_position_embeddings=positions)
    assert longest_row(form, asked, config) == longest


@pytest.mark.parametrize("positions", [None, -1])
def test_a_model_without_a_position_limit_takes_the_usual_length_or_what_is_asked(
    positions: int | None,
) -> None:
    config = SimpleNamespace(model_type="xlnet", max_position_embeddings=positions)
    assert longest_row("prompt", None, config) == LONGEST["prompt"]
    assert longest_row("prompt", 3000, config) == 3000
