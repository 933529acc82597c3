"""Loading configs, tokenizers and models through transformers, with errors a user can act on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from loretta_cli.errors import ModelError
from loretta_cli.models.bundled import find_architecture
from loretta_cli.models.families import Form, family_of
from loretta_cli.models.source import ModelSource, unreachable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model with what is worth knowing of its loading.

    Args:
        model: In evaluation mode, on the CPU.
        new_modules: Modules of which the checkpoint had no weights: they are random and must be saved.
    """

    model: PreTrainedModel
    new_modules: tuple[str, ...]


def load_config(source: ModelSource, *, revision: str | None = None, trust_remote_code: bool = False) -> Any:
    """The transformers config of a model.

    Raises:
        ModelError: If it cannot be read.
    """
    return _attempt(
        source,
        lambda: AutoConfig.from_pretrained(
            source.location, revision=revision, trust_remote_code=trust_remote_code
        ),
    )


def architecture_config(
    source: ModelSource, *, revision: str | None = None, trust_remote_code: bool = False
) -> Any:
    """The config for counting: bundled facts for a well-known name, otherwise :func:`load_config`."""
    known = None if source.is_local else find_architecture(source.name)
    if known is None:
        return load_config(source, revision=revision, trust_remote_code=trust_remote_code)
    return AutoConfig.for_model(known[1].model_type, **known[1].settings)


def default_form(config: Any) -> Form:
    """Classification for encoders, prompt for causal language models."""
    family = family_of(config.model_type)
    if family is not None:
        return family.form
    written = " ".join(getattr(config, "architectures", None) or ())
    if "CausalLM" in written or "LMHead" in written:
        return "prompt"
    if "SequenceClassification" in written or config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return "classification"
    return "prompt"


def choose_form(asked: Form | Literal["auto"], config: Any) -> Form:
    """The form that was asked for, or the default of the model.

    Raises:
        ModelError: If a prompt is asked of an encoder. transformers would make a language model of it, with
            a random head and attention to the words behind.
    """
    default = default_form(config)
    if asked == "prompt" and default == "classification" and _is_encoder(config):
        raise ModelError(
            f"A model of type {config.model_type} is an encoder, and the prompt form needs a causal language "
            "model.",
            hint="Leave task.form out, or choose another model.",
        )
    return default if asked == "auto" else asked


def _is_encoder(config: Any) -> bool:
    return config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", False)


def load_tokenizer(
    source: ModelSource, *, revision: str | None = None, trust_remote_code: bool = False
) -> PreTrainedTokenizerBase:
    """The tokenizer of a model; one without a padding token pads with its end-of-text token.

    Raises:
        ModelError: If it cannot be read, or has no vocabulary, or neither of the two tokens.
    """
    tokenizer = _attempt(
        source,
        lambda: AutoTokenizer.from_pretrained(
            source.location, revision=revision, trust_remote_code=trust_remote_code
        ),
    )
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        # transformers makes an empty tokenizer where a folder has no tokenizer files.
        raise ModelError(
            f"The tokenizer of {source.name} has no vocabulary.",
            hint="Put tokenizer.json beside config.json, as tokenizer.save_pretrained does.",
        )
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token_id is None:
            raise ModelError(
                f"The tokenizer of {source.name} has neither a padding nor an end-of-text token."
            )
        tokenizer.pad_token = tokenizer.eos_token
    return cast("PreTrainedTokenizerBase", tokenizer)


def load_model(
    source: ModelSource,
    form: Form,
    *,
    labels: tuple[str, ...] = (),
    dtype: torch.dtype = torch.float32,
    revision: str | None = None,
    trust_remote_code: bool = False,
    pad_token_id: int | None = None,
) -> LoadedModel:
    """Load a model for a form: with a classification head for ``labels``, or as a causal language model.

    Raises:
        ModelError: If it cannot be read, its weights do not fit its config, or its architecture has no
            such form.
    """
    options: dict[str, Any] = {
        "dtype": dtype,
        "revision": revision,
        "trust_remote_code": trust_remote_code,
        "output_loading_info": True,
        "local_files_only": source.is_local,
    }
    if form == "classification":
        names = dict(enumerate(labels))
        options |= {
            "num_labels": len(labels),
            "id2label": names,
            "label2id": {name: index for index, name in names.items()},
            "ignore_mismatched_sizes": True,
        }
    auto = AutoModelForSequenceClassification if form == "classification" else AutoModelForCausalLM
    model, info = _attempt(source, lambda: auto.from_pretrained(source.location, **options))
    _check_sizes(source, model, [entry[0] for entry in info["mismatched_keys"]])
    if pad_token_id is not None:
        # A head on a decoder looks for the last token that is no padding: it must know the tokenizer's.
        model.config.pad_token_id = pad_token_id
    fresh = {*info["missing_keys"], *(entry[0] for entry in info["mismatched_keys"])}
    return LoadedModel(model.eval(), tuple(sorted({key.rpartition(".")[0] for key in fresh})))


def empty_model(config: Any, form: Form, num_labels: int = 2) -> PreTrainedModel:
    """A model without weights, on the meta device, for counting.

    Raises:
        ModelError: If the architecture has no such form.
    """
    auto = AutoModelForSequenceClassification if form == "classification" else AutoModelForCausalLM
    config.num_labels = num_labels
    try:
        with torch.device("meta"):
            return cast("PreTrainedModel", auto.from_config(config, dtype=torch.float32))
    except ValueError as error:
        raise ModelError(
            f"A model of type {config.model_type} has no {form} form.",
            hint="Choose another task.form, or another model.",
        ) from error


def to_device(model: nn.Module) -> nn.Module:
    """The model on the GPU if there is one."""
    return model.to("cuda") if torch.cuda.is_available() else model


def choose_dtype(asked: str, config: Any, device: torch.device) -> torch.dtype:
    """The dtype of the base weights.

    As asked; ``auto`` is fp32 on a CPU and for fp32 checkpoints, and bf16 (fp16 where there is no bf16) on a
    GPU for half-precision checkpoints.
    """
    if asked != "auto":
        return cast("torch.dtype", getattr(torch, asked))
    stored = getattr(config, "dtype", None)
    if device.type != "cuda" or stored not in (torch.float16, torch.bfloat16):
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def _check_sizes(source: ModelSource, model: Any, mismatched: list[str]) -> None:
    """Let a head have other sizes than the checkpoint's (other labels), but not the base."""
    wrong = [key for key in mismatched if key.startswith(f"{model.base_model_prefix}.")]
    if wrong:
        raise ModelError(
            f"The weights of {source.name} do not fit its config.json: {len(wrong)} have other sizes, "
            f"for example {wrong[0]}.",
            hint="Give the config.json that was saved with these weights.",
        )


def _attempt(source: ModelSource, action: Callable[[], T]) -> T:
    """Run a ``from_pretrained`` and turn its failures into sentences."""
    try:
        return action()
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split("\n")[0].split())
        if source.is_local:
            raise ModelError(
                f"Cannot read the model in {source.name}: {reason}",
                hint="Expected a folder written by save_pretrained, with config.json, weights and tokenizer.",
            ) from error
        raise unreachable(source.name, reason.rstrip(".")) from error
