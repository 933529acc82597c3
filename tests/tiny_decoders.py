"""Tiny language models, one entry a family; some with a classification head."""

from __future__ import annotations

from tests.tiny_family import HIDDEN, LAYERS, USUAL_SIZES, VOCABULARY, TinyFamily

SPECIAL_TOKENS = {"bos_token_id": 1, "eos_token_id": 2}
LLAMA = USUAL_SIZES | SPECIAL_TOKENS | {"num_key_value_heads": 2}

DECODERS = {
    "gpt2": TinyFamily(
        "GPT2Config",
        "GPT2LMHeadModel",
        SPECIAL_TOKENS
        | {
            "vocab_size": VOCABULARY,
            "n_embd": HIDDEN,
            "n_layer": LAYERS,
            "n_head": 4,
            "n_positions": 40,
            "initializer_range": 0.2,
        },
    ),
    "llama": TinyFamily("LlamaConfig", "LlamaForCausalLM", LLAMA),
    "llama-classifier": TinyFamily(
        "LlamaConfig", "LlamaForSequenceClassification", LLAMA, "SEQ_CLS", ("score",)
    ),
}
