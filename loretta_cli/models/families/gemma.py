"""Gemma 1, 2 and 3, text alone: LLaMA with more norms a block, tied embeddings and wide heads.

Gemma 3 stands here as ``gemma3_text`` (270M and 1B, or the text part of a larger one). The larger
checkpoints are of type ``gemma3``: a wrapper of this model and a vision tower, whose layers have the same
names. That wrapper is no family: an adapter for text would reach into the tower. ``models.forms`` refuses
it and says how to save the text part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from loretta_cli.models.families import llama
from loretta_cli.models.outline import Facts, Form, ModuleOutline

BLOCK_NORMS = (*llama.BLOCK_NORMS, "pre_feedforward_layernorm", "post_feedforward_layernorm")


def gemma2_outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``Gemma2ForCausalLM`` or ``Gemma2ForSequenceClassification``."""
    return llama.decoder(facts, form, labels, block_norms=BLOCK_NORMS)


def gemma3_outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``Gemma3ForCausalLM`` or ``Gemma3TextForSequenceClassification``."""
    return llama.decoder(facts, form, labels, block_norms=BLOCK_NORMS, head_norms=True)


GEMMA = replace(llama.FAMILY, name="gemma", model_types=("gemma",))
GEMMA2 = replace(
    llama.FAMILY,
    name="gemma2",
    model_types=("gemma2",),
    norms=(*BLOCK_NORMS, "norm"),
    outline=gemma2_outline,
)
GEMMA3 = replace(
    llama.FAMILY,
    name="gemma3",
    model_types=("gemma3_text",),
    norms=(*BLOCK_NORMS, "norm", *llama.HEAD_NORMS),
    outline=gemma3_outline,
)
