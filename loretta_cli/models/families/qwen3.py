"""Qwen 3 (dense): LLaMA with norms of queries and keys, and heads wider than their share of the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from loretta_cli.models.families import llama
from loretta_cli.models.outline import Facts, Form, ModuleOutline


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``Qwen3ForCausalLM`` or ``Qwen3ForSequenceClassification``."""
    return llama.decoder(facts, form, labels, head_norms=True)


FAMILY = replace(
    llama.FAMILY,
    name="qwen3",
    model_types=("qwen3",),
    norms=(*llama.FAMILY.norms, *llama.HEAD_NORMS),
    outline=outline,
)
