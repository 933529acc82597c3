"""Losses of written rows: the same in one batch as in several, with few logits at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from loretta_cli.tasks import TASKS
from loretta_cli.tasks.base import Example
from loretta_cli.tasks.forms import token_losses
from loretta_cli.tasks.forms.base import TaskForm
from loretta_cli.tasks.forms.generation import GenerationForm
from loretta_cli.tasks.forms.language_modeling import LanguageModelingForm
from tests.tiny_folders import decoder_tokenizer
from tests.tiny_models import tiny_model

MOST = 16
SQUAD = TASKS.get("squad")
TEXTS = ("the sun", "a good story with a happy day", "the river is cold", "no", "the old house")


def forms() -> list[TaskForm]:
    texts = replace(SQUAD, kind="language-modeling", generation=None)
    tokenizer = decoder_tokenizer()
    return [LanguageModelingForm(texts, tokenizer, 100), GenerationForm(SQUAD, tokenizer, 200)]


@pytest.mark.parametrize("form", forms(), ids=["texts", "answers"])
def test_logits_of_a_bounded_number_of_tokens_are_computed_at_once(
    form: TaskForm, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model("llama", vocab_size=len(form.tokenizer))
    columns = {"title": "", "context": "the sun", "question": "what"}
    rows = form.encode([Example({**columns, "text": text}, answers=((text,),)) for text in TEXTS]).rows
    assert len({row["weight"] for row in rows}) > 1
    computed: list[int] = []

    def keep(module: Any, inputs: Any, logits: torch.Tensor) -> None:
        computed.append(logits.shape[0] * (logits.shape[1] - 1))

    with torch.inference_mode(), model.get_output_embeddings().register_forward_hook(keep):
        whole = token_losses.predict_losses(form, model, rows)
        assert len(computed) == 1
        assert computed.pop() > MOST
        monkeypatch.setattr(token_losses, "MOST_TOKENS", MOST)
        found = token_losses.predict_losses(form, model, rows)

    assert len(computed) > 1
    assert max(computed) <= MOST
    assert [one.loss for one in found] == pytest.approx([one.loss for one in whole], abs=1e-5)
    assert [one.weight for one in found] == [row["weight"] for row in rows]
