"""The cases: which model, which batch. Shapes are those of public configs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import TaskType

from loretta_cli.models.source import find_model

SMOLLM2 = {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
    "tie_word_embeddings": True,
}
LLAMA_1B = {
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "vocab_size": 128256,
    "tie_word_embeddings": True,
}
LLAMA_7B = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "vocab_size": 32000,
}


@dataclass(frozen=True, slots=True)
class Setting:
    """What the user chose for all cases.

    Args:
        device: Where everything lives.
        dtype: Of the frozen weights.
        model: Folder with weights for the ``smollm2`` cases; random weights of that shape if None.
    """

    device: torch.device
    dtype: torch.dtype
    model: Path | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """A case, built.

    Args:
        model: The base model; its parameters are frozen.
        batch: Keyword arguments of its forward pass.
        task_type: For the PEFT configs.
    """

    model: Any
    batch: dict[str, torch.Tensor]
    task_type: TaskType

    def loss(self, model: Any) -> torch.Tensor:
        """The loss of the batch; for a model without a head the mean square of its hidden states."""
        output = model(**self.batch)
        loss: torch.Tensor | None = output.get("loss")
        return output.last_hidden_state.float().square().mean() if loss is None else loss


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the benchmark.

    Args:
        name: As ``--case`` takes it.
        title: As the table prints it.
        rows: Batch size.
        tokens: Tokens in each row.
        build: Makes model and batch.
        by_default: Whether it is run when no case is named.
    """

    name: str
    title: str
    rows: int
    tokens: int
    build: Callable[[Setting, int, int], Workload]
    by_default: bool = True


def minilm(setting: Setting, rows: int, tokens: int) -> Workload:
    """The bundled encoder with a head of two classes."""
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(
        find_model("bundled:minilm").location, num_labels=2, dtype=setting.dtype
    )
    batch = _token_batch(rows, tokens, 30522)
    batch["labels"] = torch.arange(rows) % 2
    return _placed(model, batch, TaskType.SEQ_CLS, setting)


def smollm2(setting: Setting, rows: int, tokens: int) -> Workload:
    """SmolLM2-135M: from a folder, else with random weights."""
    if setting.model is None:
        return language_model(SMOLLM2)(setting, rows, tokens)
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(find_model(str(setting.model)).location, dtype=setting.dtype)
    return _placed(model, _language_batch(rows, tokens, model.config.vocab_size), TaskType.CAUSAL_LM, setting)


def language_model(shape: dict[str, Any]) -> Callable[[Setting, int, int], Workload]:
    """A builder of a random llama of this shape."""

    def build(setting: Setting, rows: int, tokens: int) -> Workload:
        from transformers import AutoModelForCausalLM, LlamaConfig

        with setting.device:
            model = AutoModelForCausalLM.from_config(LlamaConfig(**shape), dtype=setting.dtype)
        return _placed(model, _language_batch(rows, tokens, shape["vocab_size"]), TaskType.CAUSAL_LM, setting)

    return build


def llama_layer(shape: dict[str, Any]) -> Callable[[Setting, int, int], Workload]:
    """A builder of one block in the middle of a llama: its input has a gradient, too."""

    def build(setting: Setting, rows: int, tokens: int) -> Workload:
        from transformers import LlamaConfig, LlamaModel

        one = shape | {"num_hidden_layers": 1, "vocab_size": 8}
        with setting.device:
            model = LlamaModel._from_config(LlamaConfig(**one), dtype=setting.dtype)
        hidden = torch.randn(rows, tokens, shape["hidden_size"], dtype=setting.dtype, device=setting.device)
        batch = {"inputs_embeds": hidden.requires_grad_()}
        return _placed(model, batch, TaskType.FEATURE_EXTRACTION, setting)

    return build


def _token_batch(rows: int, tokens: int, vocabulary: int) -> dict[str, torch.Tensor]:
    """Full rows: no padding, so every contender computes the same."""
    ids = torch.randint(3, vocabulary, (rows, tokens), generator=torch.Generator().manual_seed(0))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def _language_batch(rows: int, tokens: int, vocabulary: int) -> dict[str, torch.Tensor]:
    batch = _token_batch(rows, tokens, vocabulary)
    return batch | {"labels": batch["input_ids"]}


def _placed(model: Any, batch: dict[str, torch.Tensor], task_type: TaskType, setting: Setting) -> Workload:
    model.config.use_cache = False
    return Workload(
        model=model.to(setting.device).requires_grad_(False),
        batch={name: value.to(setting.device) for name, value in batch.items()},
        task_type=task_type,
    )


CASES = (
    Case("minilm-32x64", "MiniLM-L6 (22.7M), 32 x 64", 32, 64, minilm),
    Case("smollm2-8x32", "SmolLM2-135M, 8 x 32", 8, 32, smollm2),
    Case("smollm2-2x256", "SmolLM2-135M, 2 x 256", 2, 256, smollm2),
    Case("llama-layer-1x512", "one block of LLaMA-2-7B, 1 x 512", 1, 512, llama_layer(LLAMA_7B)),
    Case("llama-layer-8x128", "one block of LLaMA-2-7B, 8 x 128", 8, 128, llama_layer(LLAMA_7B)),
    Case("llama-1b-1x512", "LLaMA-3.2-1B shape, 1 x 512", 1, 512, language_model(LLAMA_1B), by_default=False),
    Case("llama-1b-8x128", "LLaMA-3.2-1B shape, 8 x 128", 8, 128, language_model(LLAMA_1B), by_default=False),
    Case("llama-7b-1x512", "LLaMA-2-7B shape, 1 x 512", 1, 512, language_model(LLAMA_7B), by_default=False),
    Case("llama-7b-8x128", "LLaMA-2-7B shape, 8 x 128", 8, 128, language_model(LLAMA_7B), by_default=False),
)
"""Those not run by default want a GPU: their frozen weights are 2.5 and 13.5 GB in bf16."""
