"""Tiny random models under the names that PEFT's tests ask the hub for.

PEFT's tests load ``organisation/name``; a folder of that name in the working directory is found first. So the
suite runs in a folder with these models, without network and without a change to the names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers as hf

VOCABULARY = 128
HIDDEN = 32
LAYERS = 2
HEADS = 4

COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": 2 * HIDDEN,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
ENCODER = COMMON | {"type_vocab_size": 2}
GROUPED = COMMON | {"num_key_value_heads": 2, "head_dim": HIDDEN // HEADS}
FLAT = {"vocab_size": VOCABULARY, "n_embd": HIDDEN, "n_layer": LAYERS, "n_head": HEADS, "n_positions": 64}
DEBERTA = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0}

MODELS: dict[str, Any] = {
    "peft-internal-testing/tiny-random-BertModel": lambda: hf.BertModel(hf.BertConfig(**ENCODER)),
    "peft-internal-testing/tiny-random-RobertaModel": lambda: hf.RobertaModel(hf.RobertaConfig(**ENCODER)),
    "peft-internal-testing/tiny-random-DebertaModel": lambda: hf.DebertaModel(
        hf.DebertaConfig(**COMMON | DEBERTA)
    ),
    "peft-internal-testing/tiny-random-DebertaV2Model": lambda: hf.DebertaV2Model(
        hf.DebertaV2Config(**COMMON | DEBERTA)
    ),
    "peft-internal-testing/tiny-random-BertForSequenceClassification": lambda: (
        hf.BertForSequenceClassification(hf.BertConfig(**ENCODER))
    ),
    "peft-internal-testing/tiny-random-RobertaForSequenceClassification": lambda: (
        hf.RobertaForSequenceClassification(hf.RobertaConfig(**ENCODER))
    ),
    "trl-internal-testing/tiny-LlamaForSequenceClassification-3.2": lambda: hf.LlamaForSequenceClassification(
        hf.LlamaConfig(**GROUPED | {"num_labels": 1})
    ),
    "peft-internal-testing/tiny-random-OPTForCausalLM": lambda: hf.OPTForCausalLM(
        hf.OPTConfig(**COMMON | {"ffn_dim": 2 * HIDDEN, "word_embed_proj_dim": HIDDEN})
    ),
    "peft-internal-testing/tiny-random-GPT2LMHeadModel": lambda: hf.GPT2LMHeadModel(
        hf.GPT2Config(**FLAT, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    ),
    "peft-internal-testing/tiny-random-GPTJForCausalLM": lambda: hf.GPTJForCausalLM(
        hf.GPTJConfig(**FLAT, rotary_dim=4, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    ),
    "trl-internal-testing/tiny-random-LlamaForCausalLM": lambda: hf.LlamaForCausalLM(
        hf.LlamaConfig(**GROUPED)
    ),
    "peft-internal-testing/tiny-dummy-qwen2": lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**GROUPED)),
    "hf-internal-testing/tiny-random-Gemma3ForCausalLM": lambda: hf.Gemma3ForCausalLM(
        hf.Gemma3TextConfig(**GROUPED)
    ),
}
"""Name on the hub to a function that makes a model of that architecture."""


def write_models(folder: Path) -> None:
    """Write every model below ``folder``, the same weights every time."""
    for name, make in MODELS.items():
        torch.manual_seed(0)
        make().save_pretrained(folder / name)
