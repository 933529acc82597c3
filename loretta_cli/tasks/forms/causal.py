"""Asking a causal language model: positions of padded texts, logits of the last ones, a prompt read once.

A prompt is the longest part of a row, and the same for all its options: its keys and values are computed once
and each option is read behind them.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from loretta_cli.tasks.encoding import padded
from loretta_cli.tasks.forms.base import Row, is_in_parts
from loretta_cli.tasks.forms.options import by_row


def model_inputs(model: nn.Module, batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Ids and mask with the positions of the tokens: padding on the left must not shift them."""
    inputs = dict(batch)
    if _takes(model, "position_ids") and not has_virtual_tokens(model):
        inputs["position_ids"] = _positions(inputs["attention_mask"])
    return inputs


def last_logits(model: nn.Module, inputs: Mapping[str, torch.Tensor], count: int) -> torch.Tensor:
    """Logits of the last positions, ``(texts, at least count, vocabulary)``."""
    if has_virtual_tokens(model):
        return _logits_behind_virtual_tokens(model, inputs, count)
    keep = {"logits_to_keep": count} if _takes(model, "logits_to_keep") else {}
    logits: torch.Tensor = model(**inputs, **keep, use_cache=False).logits
    return logits


def _logits_behind_virtual_tokens(
    model: nn.Module, inputs: Mapping[str, torch.Tensor], count: int
) -> torch.Tensor:
    """:func:`last_logits` of a model with virtual tokens.

    PEFT puts them before the padding, and tells the model no positions: a text is moved before its padding.
    """
    mask = inputs["attention_mask"]
    texts, length = mask.shape
    places, padding = torch.arange(length, device=mask.device), length - mask.sum(-1, keepdim=True)
    moved = (places + padding) % length
    kept = min(length, count + int(padding.max()))
    keep = {"logits_to_keep": kept} if _takes(model, "logits_to_keep") else {}
    read = {"input_ids": inputs["input_ids"].gather(1, moved), "attention_mask": mask.gather(1, moved)}
    logits: torch.Tensor = model(**read, **keep, use_cache=False).logits[:, -kept:]
    ends = (places[-count:] - padding - (length - kept)).clamp(min=0)
    return logits[torch.arange(texts, device=mask.device)[:, None], ends]


def can_share(model: nn.Module) -> bool:
    """Whether options can be read behind the kept keys and values of a prompt.

    PEFT's virtual tokens stand before every text it reads, and would stand before an option too. An
    encoder-decoder has the prompt in its encoder.
    """
    is_causal = _takes(model, "past_key_values") and not _takes(model, "decoder_input_ids")
    return is_causal and not has_virtual_tokens(model)


def shared_prompt_scores(model: nn.Module, rows: Sequence[Row], pad_token_id: int) -> torch.Tensor:
    """Mean log-probability of each option's tokens ``(rows, most options)``; each prompt is read once.

    No more options are read at once than there are rows: each has its copy of the keys and values.

    Args:
        model: A causal language model that keeps keys and values.
        rows: With ``input_ids`` and ``options``.
        pad_token_id: Of the tokenizer.
    """
    device = next(model.parameters()).device
    prompts = padded([row["input_ids"] for row in rows], pad_token_id, side="left")
    prompts = {name: value.to(device) for name, value in prompts.items()}
    keep = {"logits_to_keep": 1} if _takes(model, "logits_to_keep") else {}
    read = model(**model_inputs(model, prompts), **keep, use_cache=True)
    options = [option for row in rows for option in row["options"]]
    counts = torch.tensor([len(row["options"]) for row in rows], device=device)
    of_row = torch.repeat_interleave(torch.arange(len(rows), device=device), counts)
    answers = padded(options, pad_token_id, side="right")
    ids, counted = answers["input_ids"].to(device), answers["attention_mask"].to(device)

    first = read.logits[:, -1].float().log_softmax(dim=-1)[of_row, ids[:, 0]]
    if ids.shape[1] == 1:
        return by_row(first, counts)
    mask = torch.cat([prompts["attention_mask"][of_row], counted[:, :-1]], dim=1)
    inputs = {"input_ids": ids[:, :-1], "attention_mask": mask}
    if _takes(model, "position_ids"):
        inputs["position_ids"] = _positions(mask)[:, prompts["input_ids"].shape[1] :]
    later = torch.zeros_like(first)
    most = len(options) if is_in_parts(model) else len(rows)
    for start in range(0, len(options), most):
        part = slice(start, start + most)
        cache = copy.deepcopy(read.past_key_values)
        cache.batch_select_indices(of_row[part])
        given = {name: value[part] for name, value in inputs.items()}
        logits = model(**given, past_key_values=cache, use_cache=True).logits
        found = logits.float().log_softmax(dim=-1).gather(2, ids[part, 1:, None])[..., 0]
        later[part] = (found * counted[part, 1:]).sum(-1)
    return by_row((first + later) / counted.sum(-1), counts)


def _positions(mask: torch.Tensor) -> torch.Tensor:
    """The place of each token in its text."""
    return (mask.cumsum(-1) - 1).clamp(min=0)


def has_virtual_tokens(model: nn.Module) -> bool:
    """Whether an adapter puts virtual tokens before each text."""
    adapters = getattr(unwrapped(model), "peft_config", {})
    return any(adapter.is_prompt_learning for adapter in adapters.values())


def unwrapped(model: Any) -> Any:
    """The model that DeepSpeed may have wrapped once more."""
    return getattr(model, "module", model)


def _takes(model: nn.Module, argument: str) -> bool:
    """Whether the language model inside has an argument of this name."""
    base = unwrapped(model)
    if hasattr(base, "get_base_model"):
        base = base.get_base_model()
    return argument in inspect.signature(base.forward).parameters
