"""Loading configs, tokenizers and models through transformers, with errors a user can act on."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from loretta_cli.errors import ModelError
from loretta_cli.models.bundled import find_architecture
from loretta_cli.models.families import Form
from loretta_cli.models.families.t5 import has_own_output_layer
from loretta_cli.models.forms import auto_class, decoder_start_token, is_encoder_decoder
from loretta_cli.models.gguf_loading import gguf_config, gguf_faults, gguf_options, gguf_tokenizer
from loretta_cli.models.quantization import keep_more, make_trainable, misplaced_layers
from loretta_cli.models.source import ModelSource, unreachable
from loretta_cli.numerals import counted
from loretta_cli.processes import own_device
from loretta_cli.refused_memory import is_out_of_memory

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
    if source.gguf_file is not None:
        return gguf_config(source)
    return _attempt(
        source,
        lambda: AutoConfig.from_pretrained(
            source.location, revision=revision, trust_remote_code=trust_remote_code
        ),
    )


def architecture_config(
    source: ModelSource, *, revision: str | None = None, trust_remote_code: bool = False
) -> Any:
    """The config for counting: bundled facts for a well-known name, if no revision of it is asked for."""
    known = None if source.is_local or revision else find_architecture(source.name)
    if known is None:
        return load_config(source, revision=revision, trust_remote_code=trust_remote_code)
    return AutoConfig.for_model(known[1].model_type, **known[1].settings)


def load_tokenizer(
    source: ModelSource, *, revision: str | None = None, trust_remote_code: bool = False
) -> PreTrainedTokenizerBase:
    """The tokenizer of a model; one without a padding token pads with its end-of-text token.

    Raises:
        ModelError: If it cannot be read, or has no vocabulary, or neither of the two tokens.
    """
    if source.gguf_file is not None:
        tokenizer = gguf_tokenizer(source)
    else:
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
    quantizer: BitsAndBytesConfig | None = None,
) -> LoadedModel:
    """Load a model for a form: with a classification head for ``labels``, or as a language model.

    With a ``quantizer`` its linear layers are quantised, but for those that the adapter saves.

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
    config = load_config(source, revision=revision, trust_remote_code=trust_remote_code)
    auto = auto_class(form, config)
    if quantizer is not None:
        options["quantization_config"] = quantizer
    if source.gguf_file is not None:
        options = gguf_options(source, config, options)
    model, info = _attempt(source, lambda: auto.from_pretrained(source.folder, **options))
    if quantizer is not None and (misplaced := misplaced_layers(model, _new_modules(info))):
        options["quantization_config"] = keep_more(quantizer, misplaced)
        model, info = _attempt(source, lambda: auto.from_pretrained(source.location, **options))
    make_trainable(model)
    _check_sizes(source, model, [entry[0] for entry in info["mismatched_keys"]])
    settle_config(model, pad_token_id)
    return LoadedModel(model.eval(), _new_modules(info))


def settle_config(model: Any, pad_token_id: int | None) -> None:
    """Write into a model's config what its checkpoint and its tokenizer say, and the config may not."""
    config = model.config
    if is_encoder_decoder(config):
        # T5's classification head begins the decoder with it, and configs may lack it.
        config.decoder_start_token_id = decoder_start_token(config)
    if pad_token_id is not None:
        # A head on a decoder looks for the last token that is no padding: it must know the tokenizer's.
        config.pad_token_id = pad_token_id
    if getattr(config, "tie_word_embeddings", False) and _has_own_output(model):
        # Every T5 config says so, also of checkpoints with an output layer of their own.
        config.tie_word_embeddings = False


def _has_own_output(model: PreTrainedModel) -> bool:
    """Whether the output layer of a language model is not the embedding's matrix."""
    output, words = model.get_output_embeddings(), model.get_input_embeddings()
    return output is not None and output.weight is not words.weight


def _new_modules(info: dict[str, Any]) -> tuple[str, ...]:
    """Modules that the checkpoint has no fitting weights for, by transformers' loading info."""
    keys = {*info["missing_keys"], *(entry[0] for entry in info["mismatched_keys"])}
    return tuple(sorted({key.rpartition(".")[0] for key in keys}))


def empty_model(config: Any, form: Form, num_labels: int = 2) -> PreTrainedModel:
    """A model without weights, on the meta device, for counting.

    Raises:
        ModelError: If the architecture has no such form.
    """
    config = copy.deepcopy(config)
    config.num_labels = num_labels
    try:
        with torch.device("meta"):
            model: Any = auto_class(form, config).from_config(config, dtype=torch.float32)
    except ValueError as error:
        raise ModelError(
            f"A model of type {config.model_type} has no {form} form.",
            hint="Choose another task.form, or another model.",
        ) from error
    if config.model_type == "t5" and form != "classification" and has_own_output_layer(config.to_dict()):
        # transformers ties it when it builds a model, and unties it when it loads such a checkpoint.
        model.lm_head.weight = nn.Parameter(torch.empty_like(model.lm_head.weight))
    return cast("PreTrainedModel", model)


def to_device(model: nn.Module) -> nn.Module:
    """The model on this process's GPU if there is one."""
    return model.to(own_device()) if torch.cuda.is_available() else model


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
            f"The weights of {source.name} do not fit its config.json: "
            f"{counted(len(wrong), 'has another size', 'have other sizes')}, for example {wrong[0]}.",
            hint="Give the config.json that was saved with these weights.",
        )


def _attempt(source: ModelSource, action: Callable[[], T]) -> T:
    """Run a ``from_pretrained`` and turn its failures into sentences."""
    if source.gguf_file is not None:
        with gguf_faults(source):
            return action()
    try:
        return action()
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        if is_out_of_memory(error):
            raise
        reason = " ".join(str(error).split("\n")[0].split())
        if "for 'Byte'" in reason or "for 'Char'" in reason:  # torch was to draw numbers in 4 or 8 bits
            raise ModelError(
                f"{source.name} is stored quantised, and has no weights for a layer that would be quantised "
                "too, such as one of a new classification head.",
                hint="Give the model that is not quantised, and for example model.quantization=nf4.",
            ) from error
        if "trust_remote_code" in str(error):
            raise ModelError(
                f"{source.name} has code of its own, which runs only if you trust it.",
                hint="Read that code first; then add --trust-remote-code.",
            ) from error
        if source.is_local:
            raise ModelError(
                f"Cannot read the model in {source.name}: {reason}",
                hint="Expected a folder written by save_pretrained, with config.json, weights and tokenizer.",
            ) from error
        raise unreachable(source.name, error) from error
