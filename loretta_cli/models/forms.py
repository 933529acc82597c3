"""How a model meets a task: which form, which class of transformers, which of PEFT's task types.

A prompt (with options, or answered in the model's own words: ``generation``) is for causal language models,
and for encoder-decoders, whose encoder reads it. A masked form is for encoders trained as masked language
models.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Literal

from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
)

from loretta_cli.errors import ModelError
from loretta_cli.models.families import Form, family_of


def default_form(config: Any) -> Form:
    """Classification for encoders, prompt for causal language models and encoder-decoders."""
    family = family_of(config.model_type)
    if family is not None:
        return family.form
    written = " ".join(getattr(config, "architectures", None) or ())
    if "CausalLM" in written or "LMHead" in written or "ConditionalGeneration" in written:
        return "prompt"
    if "SequenceClassification" in written or _is_encoder(config):
        return "classification"
    return "prompt"


def choose_form(
    asked: Form | Literal["auto"], config: Any, task_has: Container[Form] = ("classification", "prompt")
) -> Form:
    """The form that was asked for, or the default of the model.

    Args:
        asked: What was asked for.
        config: Of the model.
        task_has: The forms of the task. A language model that is not told which takes a prompt with options,
            else its own words, else a head.

    Raises:
        ModelError: If a prompt is asked of an encoder. transformers would make a language model of it, with
            a random head and attention to the words behind. If the model reads images: the layers of its
            vision tower have the names of the text's. And if an encoder-decoder is without its decoder.
    """
    if getattr(config, "vision_config", None) is not None:
        raise ModelError(
            f"A model of type {config.model_type} reads images as well as text, and adapters are made for "
            "models of text alone.",
            hint="Give its text part, saved as a model of its own; for Gemma 3 a Gemma3ForCausalLM with the "
            "weights of model.language_model.",
        )
    if _is_half(config):
        raise ModelError(
            f"This {config.model_type} model is the encoder of an encoder-decoder alone, with no decoder.",
            hint="Give the whole model.",
        )
    default = default_form(config)
    if asked in ("prompt", "generation") and default == "classification" and _is_encoder(config):
        raise ModelError(
            f"A model of type {config.model_type} is an encoder, and the {asked} form needs a causal "
            "language model.",
            hint="Leave task.form out, or choose another model.",
        )
    if asked == "masked" and not _is_encoder(config):
        raise ModelError(
            f"A model of type {config.model_type} is no masked language model, which the masked form needs.",
            hint="Leave task.form out, or choose an encoder such as roberta-base.",
        )
    if asked != "auto":
        return asked
    if default == "prompt":
        preferred: tuple[Form, ...] = ("prompt", "generation", "classification")
        return next((form for form in preferred if form in task_has), default)
    return default


def _is_encoder(config: Any) -> bool:
    is_known = config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return is_known and not getattr(config, "is_decoder", False) and not is_encoder_decoder(config)


def _is_half(config: Any) -> bool:
    """Whether a type of encoder-decoder that makes no causal language model says that it is not whole."""
    is_one = config.model_type in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
    return (
        is_one
        and config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        and not is_encoder_decoder(config)
    )


def is_encoder_decoder(config: Any) -> bool:
    """Whether the model reads a text with an encoder and writes with a decoder."""
    return bool(getattr(config, "is_encoder_decoder", False))


def task_type_of(form: Form, config: Any) -> str | None:
    """PEFT's task type of a model in a form; it has none for masked language models."""
    if form == "classification":
        return "SEQ_CLS"
    if form == "masked":
        return None
    return "SEQ_2_SEQ_LM" if is_encoder_decoder(config) else "CAUSAL_LM"


def auto_class(form: Form, config: Any) -> Any:
    """The class of transformers that loads a model in a form."""
    if form == "classification":
        return AutoModelForSequenceClassification
    if form == "masked":
        return AutoModelForMaskedLM
    return AutoModelForSeq2SeqLM if is_encoder_decoder(config) else AutoModelForCausalLM


def decoder_start_token(config: Any) -> int | None:
    """The token that the decoder of an encoder-decoder begins with; None for other models.

    Raises:
        ModelError: If the config does not say. T5 alone has a rule for that: its padding token.
    """
    if not is_encoder_decoder(config):
        return None
    found = getattr(config, "decoder_start_token_id", None)
    if found is None and config.model_type == "t5":
        found = config.pad_token_id
    if found is None:
        raise ModelError(
            f"The config of this {config.model_type} model has no decoder_start_token_id, the token that its "
            "decoder begins with.",
            hint="Add decoder_start_token_id to its config.json, as its authors use it.",
        )
    return int(found)
