"""One number a label: what both forms make of a batch, for training and for evaluation.

A *scorer* maps a batch to scores ``(batch, labels)`` in fp32. The loss is the cross-entropy of the
scores, the prediction their largest. For prompts the score of an option is the mean log-probability of
its tokens (MeZO, Section 4 and its code), so only answer positions enter the loss.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn import functional

Batch = Mapping[str, torch.Tensor]


class Scorer(Protocol):
    """Maps a batch to scores."""

    def __call__(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Scores ``(batch, labels)``, fp32."""


def head_scores(model: nn.Module, batch: Batch) -> torch.Tensor:
    """The logits of a classification head."""
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    logits: torch.Tensor = model(**inputs).logits
    return logits.float()


def option_scores(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Mean log-probability of each option's tokens behind its prompt.

    Prompts are padded on the left, so answers end at the last position, and only the last positions'
    logits are computed.
    """
    inputs: dict[str, Any] = {name: batch[name] for name in ("input_ids", "attention_mask")}
    if _takes(model, "position_ids"):
        # Padding on the left must not shift the positions.
        inputs["position_ids"] = (inputs["attention_mask"].cumsum(-1) - 1).clamp(min=0)
    if "option_tokens" in batch:
        logits = _last_logits(model, inputs, 1)[:, -1]
        return functional.log_softmax(logits.float(), dim=-1).gather(1, batch["option_tokens"])
    return _mean_log_probabilities(model, inputs, batch["option_lengths"])


def text_to_text_scores(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Mean log-probability of each option's tokens as the answer of an encoder-decoder.

    The encoder reads the prompt; the decoder is given the option, so all its tokens are scored at once.
    """
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "decoder_input_ids")}
    logits: torch.Tensor = model(**inputs, use_cache=False).logits
    log_probabilities = functional.log_softmax(logits.float(), dim=-1)
    if "option_tokens" in batch:
        return log_probabilities[:, 0].gather(1, batch["option_tokens"])
    lengths = batch["option_lengths"]
    found = log_probabilities.gather(2, batch["answer_ids"][..., None])[..., 0]
    flat = lengths.reshape(-1, 1)
    counted = torch.arange(found.shape[1], device=flat.device) < flat
    return ((found * counted).sum(-1) / flat[:, 0]).reshape(lengths.shape)


def _mean_log_probabilities(
    model: nn.Module, inputs: Mapping[str, torch.Tensor], lengths: torch.Tensor
) -> torch.Tensor:
    """:func:`option_scores` for options of several tokens; ``lengths`` is ``(batch, options)``."""
    longest = int(lengths.max())
    logits = _last_logits(model, inputs, longest + 1)[:, -longest - 1 : -1]
    targets = inputs["input_ids"][:, -longest:]
    log_probabilities = functional.log_softmax(logits.float(), dim=-1).gather(2, targets[..., None])[..., 0]
    flat = lengths.reshape(-1, 1)
    counted = torch.arange(longest, 0, -1, device=flat.device) <= flat
    return ((log_probabilities * counted).sum(-1) / flat[:, 0]).reshape(lengths.shape)


def _last_logits(model: nn.Module, inputs: Mapping[str, torch.Tensor], count: int) -> torch.Tensor:
    """Logits of the last positions, ``(rows, at least count, vocabulary)``."""
    keep = {"logits_to_keep": count} if _takes(model, "logits_to_keep") else {}
    logits: torch.Tensor = model(**inputs, **keep, use_cache=False).logits
    return logits


def _takes(model: nn.Module, argument: str) -> bool:
    """Whether the language model inside has an argument of this name."""
    base: Any = getattr(model, "module", model)  # DeepSpeed wraps the model once more
    if hasattr(base, "get_base_model"):
        base = base.get_base_model()
    return argument in inspect.signature(base.forward).parameters


def scores_loss(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of the scores, fp32."""
    return functional.cross_entropy(scores, labels)
