"""Prompt tuning, prefix tuning and p-tuning: what PEFT needs to be told of a model, and what it cannot do.

PEFT puts virtual tokens before the text of some models and fails, or silently leaves them out, with others;
one short row through the model shows which.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import torch
from peft import PeftModel, PeftType, PromptEncoder, PromptEncoderConfig
from torch import nn

from loretta_cli.errors import ModelError
from loretta_cli.models.dimensions import has_one_key

ENCODER_PREFIX = "prompt_encoder."
TOKENS = "prompt_embeddings"
"""What PEFT calls the virtual tokens in an adapter's file."""

NAMES = {
    PeftType.PREFIX_TUNING: "prefix",
    PeftType.PROMPT_TUNING: "prompt",
    PeftType.P_TUNING: "p-tuning",
}


def tell_sizes(config: Any, model: Any) -> None:
    """Fill the sizes of a model into a PEFT config, which PEFT knows of some models only.

    Args:
        config: Of prompt tuning, prefix tuning or p-tuning; changed in place.
        model: The base model.

    Raises:
        ModelError: If it does not take keys and values from outside, and the config is that of prefix tuning;
            or if the model has no form that PEFT puts virtual tokens before.
    """
    if config.task_type is None:
        raise ModelError(
            f"{NAMES[config.peft_type]} does not work with a masked language model: PEFT puts virtual tokens "
            "before none.",
            hint="Choose another method, or another task.form.",
        )
    known = model.config
    config.num_attention_heads = known.num_attention_heads
    layers = known.num_hidden_layers
    config.num_layers = getattr(known, "num_decoder_layers", None) or layers
    if config.peft_type == PeftType.PREFIX_TUNING:
        _check_takes_keys(model)
        config.token_dim = known.hidden_size
        if has_one_key(known.to_dict()):
            config.token_dim //= config.num_attention_heads
            config.num_attention_heads = 1
        return
    # Some models have embeddings narrower than their hidden states.
    config.token_dim = model.get_input_embeddings().embedding_dim
    # The encoder alone reads them; PEFT would make, and never use, as many for the decoder.
    config.num_transformer_submodules = 1


def _check_takes_keys(model: Any) -> None:
    if "past_key_values" not in inspect.signature(model.base_model.forward).parameters:
        raise ModelError(
            f"prefix does not work with models of type {model.config.model_type}: they take no keys and "
            "values from outside.",
            hint="Use prompt or p-tuning, or another method.",
        )


def check_virtual_tokens(model: PeftModel) -> None:
    """Refuse a model that does not read virtual tokens, by one short row.

    Args:
        model: With a new adapter; a model without weights is left alone.

    Raises:
        ModelError: If the model fails, or its output does not depend on them.
    """
    anything: Any = model
    if any(parameter.is_meta for parameter in model.parameters()):
        return
    ids = torch.arange(3, 6, device=model.device)[None]
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if anything.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids[:, :1]
    method = NAMES[anything.active_peft_config.peft_type]
    name = f"models of type {anything.config.model_type}"
    was_training = model.training
    try:
        anything.eval()(**inputs).logits.float().square().sum().backward()
    except Exception as error:  # whatever transformers stumbles over
        reason = " ".join(str(error).split()).rstrip(".")[:200]
        raise ModelError(
            f"{method} does not work with {name} in this form: {reason}.", hint="Choose another method."
        ) from error
    trained = [value for full, value in model.named_parameters() if full.startswith(ENCODER_PREFIX)]
    reached = any(value.grad is not None and bool(value.grad.any()) for value in trained)
    model.zero_grad(set_to_none=True)
    model.train(was_training)
    if not reached:
        raise ModelError(
            f"{method} has no effect on {name} in this form: PEFT leaves its virtual tokens out.",
            hint="Choose another method.",
        )


class ResumablePromptEncoder(PromptEncoder):
    """PEFT's encoder of p-tuning, saved with the layers that make the virtual tokens.

    PEFT saves the tokens alone, from which training cannot go on, and loads them into the layers' input. It
    can load what is saved here.
    """

    @classmethod
    def _get_adapter_state_dict(
        cls, model: Any, config: Any, adapter_name: str, *arguments: Any, **options: Any
    ) -> dict[str, torch.Tensor]:
        saved = super()._get_adapter_state_dict(model, config, adapter_name, *arguments, **options)
        if not config.inference_mode:
            encoder = model.prompt_encoder[adapter_name]
            saved |= {f"{ENCODER_PREFIX}{name}": value for name, value in encoder.state_dict().items()}
            saved[TOKENS] = made_tokens(config, saved)
        return saved

    def _load_adapter_state_dict(self, state_dict: dict[str, torch.Tensor]) -> None:
        own = {
            name.removeprefix(ENCODER_PREFIX): value
            for name, value in state_dict.items()
            if name.startswith(ENCODER_PREFIX)
        }
        if own and hasattr(self, "mlp_head"):
            nn.Module.load_state_dict(self, own)
        else:
            super()._load_adapter_state_dict(state_dict)


def made_tokens(config: PromptEncoderConfig, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The virtual tokens of p-tuning, ``(tokens, width)``, made on the CPU.

    So their bits follow from the numbers in the adapter's file, wherever the model is.

    Args:
        config: Of the adapter.
        tensors: Of its file, the layers that make the tokens among them.
    """
    settings = copy.copy(config)
    settings.inference_mode = False
    with torch.device("meta"):
        encoder = PromptEncoder(settings)  # type: ignore[no-untyped-call]  # PEFT leaves it without types
    layers = {
        name.removeprefix(ENCODER_PREFIX): value.detach().cpu().clone()  # where a processor likes to read it
        for name, value in tensors.items()
        if name.startswith(ENCODER_PREFIX)
    }
    encoder.load_state_dict(layers, assign=True)
    with torch.no_grad():
        made: torch.Tensor = encoder.eval()(torch.arange(encoder.total_virtual_tokens)[None])[0]
    return made
