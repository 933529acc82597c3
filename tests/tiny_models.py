"""Tiny random models of every family, made from configs: two blocks, hidden size 48, vocabulary 99.

Shared by the tests of several rooms. The sizes are awkward on purpose (48 is no power of two), the
weights wide enough that a change shows in the logits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from tests.tiny_decoders import DECODERS
from tests.tiny_encoder_decoders import ENCODER_DECODERS, with_decoder_inputs
from tests.tiny_encoders import ENCODERS
from tests.tiny_family import HIDDEN, LABELS, LAYERS, VOCABULARY

__all__ = ["HIDDEN", "LABELS", "LAYERS", "VOCABULARY"]

KEY_VALUE = 24
"""Width of llama's keys and values: two of four heads."""

TINY = {**ENCODERS, **DECODERS, **ENCODER_DECODERS}
FAMILIES = ("bert", "roberta", "deberta", "llama", "llama-classifier")
"""The families of the papers: what is checked for every preset is checked for these."""
UNKNOWN = "codegen"
"""A model of transformers of which the project knows no family."""
OTHERS = tuple(sorted(set(TINY) - {*FAMILIES, UNKNOWN}))
"""All other families: checked with the preset ``paper`` for adp and ``standard`` for rep."""
HEAD_PREFIXES = {name: family.head for name, family in TINY.items()}
"""Modules that a base checkpoint lacks, so that every process draws them anew."""
TASK_TYPES = {name: family.task_type for name, family in TINY.items()}


def tiny_config(family: str, **changes: Any) -> Any:
    """The transformers config of a tiny model."""
    import transformers

    return getattr(transformers, TINY[family].config)(**{**TINY[family].settings, **changes})


def model_class(family: str) -> Any:
    """The transformers class that a tiny model of the family has."""
    import transformers

    return getattr(transformers, TINY[family].model)


def tiny_model(family: str, *, seed: int = 0, dtype: torch.dtype = torch.float32, **changes: Any) -> Any:
    """A random model in eval mode, the same for the same seed.

    Args:
        family: A name in :data:`TINY`.
        seed: Of the weights.
        dtype: Of the weights.
        changes: Config values that differ from the tiny ones.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = model_class(family)(tiny_config(family, **changes))
        if family == "t5-gated":
            # Built, its output layer is tied; loaded from a checkpoint as those of T5 1.1 are, it is not.
            model.lm_head.weight = nn.Parameter(0.2 * torch.randn_like(model.lm_head.weight))
            model.config.tie_word_embeddings = False
    return model.to(dtype).eval()


def same_base_other_head(family: str, state: Mapping[str, torch.Tensor], **changes: Any) -> Any:
    """A model with this base ``state`` and a newly drawn head, as loading a base checkpoint gives it."""
    model = tiny_model(family, seed=12345, **changes)
    prefixes = HEAD_PREFIXES.get(family, ())
    kept = {name: value for name, value in state.items() if name.split(".")[0] not in prefixes}
    dtype = next(iter(kept.values())).dtype
    model.to(dtype).load_state_dict(kept, strict=not prefixes)
    return model


def token_batch(*, rows: int = 2, length: int = 7, seed: int = 0) -> dict[str, torch.Tensor]:
    """Token ids without special meaning, and no padding."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, VOCABULARY, (rows, length), generator=generator)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def labelled_batch(family: str, *, rows: int = 4, seed: int = 0) -> dict[str, torch.Tensor]:
    """A batch with labels: classes for a classifier, the tokens themselves for a language model."""
    batch = token_batch(rows=rows, seed=seed)
    if family in ENCODER_DECODERS:
        batch = with_decoder_inputs(batch)
    is_classifier = TASK_TYPES[family] == "SEQ_CLS"
    batch["labels"] = torch.arange(rows) % LABELS if is_classifier else batch["input_ids"].clone()
    return batch


class TwoLayerNet(nn.Module):
    """A plain module that transformers does not know: two linear layers named ``wide`` and ``narrow``."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.wide = nn.Linear(20, 30)
            self.narrow = nn.Linear(30, 10)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """``(batch, 20)`` -> ``(batch, 10)``."""
        output: torch.Tensor = self.narrow(torch.tanh(self.wide(inputs)))
        return output
