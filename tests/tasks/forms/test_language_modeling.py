"""Language modelling: texts in rows, each token learned once, perplexity of all."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch.nn import functional

from loretta_cli.evaluation.evaluate import encode, evaluate
from loretta_cli.tasks.base import Example, Task
from loretta_cli.tasks.forms import make_form
from loretta_cli.tasks.forms.language_modeling import LanguageModelingForm
from tests.tiny_folders import decoder_tokenizer
from tests.tiny_models import tiny_model

TASK = Task(
    name="texts",
    version=1,
    kind="language-modeling",
    columns=("text",),
    read=lambda cells: Example(cells.texts("text")),
    metrics=("perplexity",),
)
TEXTS = ("the river is cold water. " * 5, "the sun", "a good story with a happy day")


@pytest.fixture(scope="module")
def decoder() -> Any:
    return decoder_tokenizer()


def examples(*texts: str) -> list[Example]:
    return [Example({"text": text}) for text in texts]


def test_a_task_of_texts_is_met_by_this_form(decoder: Any) -> None:
    assert TASK.forms == ("generation",)
    assert isinstance(make_form("generation", TASK, decoder, 64), LanguageModelingForm)


def test_a_text_that_fits_is_one_row_with_its_end(decoder: Any) -> None:
    (row,) = LanguageModelingForm(TASK, decoder, 64).encode(examples("the sun")).rows

    assert decoder.decode(row["input_ids"]) == "<s>the sun</s>"


def test_a_long_text_goes_on_in_rows_that_learn_each_token_once(decoder: Any) -> None:
    rows = LanguageModelingForm(TASK, decoder, 8).encode(examples(TEXTS[0])).rows

    assert len(rows) > 2
    assert max(len(row["input_ids"]) for row in rows) == 8
    learned = [token for row in rows for token in row["input_ids"][1:]]
    assert [decoder.bos_token_id, *learned] == [*decoder(TEXTS[0])["input_ids"], decoder.eos_token_id]
    for before, after in itertools.pairwise(rows):
        assert before["input_ids"][-1] == after["input_ids"][0]


def test_a_text_of_exactly_one_row_makes_no_second(decoder: Any) -> None:
    length = len(decoder("the sun")["input_ids"]) + 1

    assert len(LanguageModelingForm(TASK, decoder, length).encode(examples("the sun")).rows) == 1


def test_the_loss_of_a_row_is_the_mean_of_its_tokens(decoder: Any) -> None:
    form = LanguageModelingForm(TASK, decoder, 32)
    rows = form.encode(examples(*TEXTS)).rows
    model = tiny_model("llama", vocab_size=len(decoder))

    found = form.losses(model, form.collate(rows))

    for row, loss in zip(rows, found.tolist(), strict=True):
        ids = torch.tensor([row["input_ids"]])
        with torch.inference_mode():
            logits = model(input_ids=ids).logits[0, :-1]
        assert loss == pytest.approx(float(functional.cross_entropy(logits, ids[0, 1:])), abs=1e-5)


@pytest.mark.parametrize("only_loss", [False, True])
def test_the_loss_is_the_mean_of_all_tokens_and_perplexity_its_exponential(
    decoder: Any, only_loss: bool
) -> None:
    form = LanguageModelingForm(TASK, decoder, 32)
    model = tiny_model("llama", vocab_size=len(decoder))
    total, count = 0.0, 0
    for row in form.encode(examples(*TEXTS)).rows:
        ids = torch.tensor([row["input_ids"]])
        with torch.inference_mode():
            logits = model(input_ids=ids).logits[0, :-1]
        total += float(functional.cross_entropy(logits, ids[0, 1:], reduction="sum"))
        count += ids.shape[1] - 1

    found = evaluate(model, form, encode(form, examples(*TEXTS)), batch_size=2, only_loss=only_loss)

    assert found.metrics["loss"] == pytest.approx(total / count, abs=1e-5)
    assert found.metrics["perplexity"] == pytest.approx(math.exp(total / count), rel=1e-5)
