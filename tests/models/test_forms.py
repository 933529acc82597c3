"""Which form a model meets a task in, and what follows from it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoModelForSequenceClassification

from loretta_cli.errors import ModelError
from loretta_cli.models.families import Form
from loretta_cli.models.forms import (
    auto_class,
    choose_form,
    decoder_start_token,
    default_form,
    is_encoder_decoder,
    task_type_of,
)
from tests.tiny_models import tiny_config
from tests.unknown_models import unknown_model


@pytest.mark.parametrize(
    ("model_type", "architectures", "form"),
    [
        ("bert", ["BertForMaskedLM"], "classification"),
        ("llama", None, "prompt"),
        ("llama", ["LlamaForSequenceClassification"], "prompt"),
        ("gpt2", ["GPT2LMHeadModel"], "prompt"),
        ("gpt2", None, "prompt"),
        ("opt", ["OPTForCausalLM"], "prompt"),
        ("electra", ["ElectraForPreTraining"], "classification"),
        ("distilbert", None, "classification"),
        ("gpt2", ["GPT2ForSequenceClassification"], "prompt"),
        ("t5", ["T5ForSequenceClassification"], "prompt"),
        ("brand-new", ["BrandNewForSequenceClassification"], "classification"),
        ("brand-new", ["BrandNewForConditionalGeneration"], "prompt"),
        ("brand-new", ["BrandNewForCausalLM"], "prompt"),
    ],
)
def test_the_form_follows_from_the_architecture(model_type: str, architectures: Any, form: Form) -> None:
    assert default_form(SimpleNamespace(model_type=model_type, architectures=architectures)) == form


def test_an_encoder_decoder_of_unknown_family_is_asked_with_a_prompt() -> None:
    config = unknown_model("bart").config
    for architectures in (["BartForConditionalGeneration"], ["BartModel"], None):
        config.architectures = architectures
        assert default_form(config) == "prompt"
    config.architectures = ["BartForSequenceClassification"]
    assert default_form(config) == "classification"
    assert choose_form("prompt", config) == "prompt"


def test_a_prompt_is_refused_for_an_encoder() -> None:
    with pytest.raises(ModelError, match="is an encoder"):
        choose_form("prompt", unknown_model("roformer").config)
    assert choose_form("classification", tiny_config("t5")) == "classification"


@pytest.mark.parametrize(
    ("name", "form", "task_type", "loads"),
    [
        ("bert", "classification", "SEQ_CLS", AutoModelForSequenceClassification),
        ("llama", "prompt", "CAUSAL_LM", AutoModelForCausalLM),
        ("llama", "classification", "SEQ_CLS", AutoModelForSequenceClassification),
        ("t5", "prompt", "SEQ_2_SEQ_LM", AutoModelForSeq2SeqLM),
        ("t5", "classification", "SEQ_CLS", AutoModelForSequenceClassification),
    ],
)
def test_the_form_decides_about_task_type_and_class(
    name: str, form: Form, task_type: str, loads: Any
) -> None:
    config = tiny_config(name)
    assert task_type_of(form, config) == task_type
    assert auto_class(form, config) is loads
    assert is_encoder_decoder(config) == (name == "t5")


@pytest.mark.parametrize("form", ["auto", "prompt", "classification"])
def test_an_encoder_decoder_without_its_decoder_is_refused(form: Any) -> None:
    """transformers would draw a decoder at random."""
    with pytest.raises(ModelError, match="t5 model is the encoder of an encoder-decoder alone"):
        choose_form(form, tiny_config("t5", is_encoder_decoder=False))


def test_the_decoder_begins_as_the_config_says() -> None:
    assert decoder_start_token(tiny_config("t5", decoder_start_token_id=7)) == 7
    assert decoder_start_token(unknown_model("bart", decoder_start_token_id=2).config) == 2
    assert decoder_start_token(tiny_config("llama")) is None


def test_the_decoder_of_t5_begins_with_padding_where_the_config_says_nothing() -> None:
    assert decoder_start_token(tiny_config("t5", decoder_start_token_id=None, pad_token_id=4)) == 4
    without = tiny_config("t5", pad_token_id=4)
    del without.decoder_start_token_id
    assert decoder_start_token(without) == 4


def test_other_encoder_decoders_without_a_start_token_are_refused() -> None:
    config = SimpleNamespace(model_type="brand-new", is_encoder_decoder=True, pad_token_id=0)
    with pytest.raises(ModelError, match="brand-new model has no decoder_start_token_id") as caught:
        decoder_start_token(config)
    assert "config.json" in caught.value.hint


@pytest.mark.parametrize(
    ("task_has", "form"),
    [
        (("classification", "prompt", "masked"), "prompt"),
        (("generation",), "generation"),
        (("classification",), "classification"),
    ],
)
def test_a_language_model_takes_the_form_that_the_task_has(task_has: tuple[Form, ...], form: Form) -> None:
    assert choose_form("auto", tiny_config("llama"), task_has) == form
    assert choose_form("auto", tiny_config("bert"), task_has) == "classification"


def test_only_an_encoder_fills_gaps() -> None:
    assert choose_form("masked", tiny_config("roberta"), ("masked",)) == "masked"
    with pytest.raises(ModelError, match="llama is no masked language model"):
        choose_form("masked", tiny_config("llama"), ("masked",))
