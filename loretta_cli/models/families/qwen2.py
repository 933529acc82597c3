"""Qwen 2 and 2.5: LLaMA with biases on query, key and value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from loretta_cli.models.families import llama
from loretta_cli.models.outline import Facts, Form, ModuleOutline


def outline(facts: Facts, form: Form, labels: int) -> Iterator[ModuleOutline]:
    """``Qwen2ForCausalLM`` or ``Qwen2ForSequenceClassification``."""
    return llama.decoder(facts, form, labels, qkv_bias=True)


FAMILY = replace(llama.FAMILY, name="qwen2", model_types=("qwen2",), outline=outline)
