"""Tiny models of types that the project has no family for, to be inspected: built without weights."""

from __future__ import annotations

from typing import Any

import torch

from tests.tiny_family import HIDDEN, LAYERS, USUAL_SIZES, VOCABULARY, TinyFamily

GPT = {"vocab_size": VOCABULARY, "n_embd": HIDDEN, "n_layer": LAYERS, "n_head": 4, "n_positions": 40}

UNKNOWN_MODELS = {
    "bart": TinyFamily(
        "BartConfig",
        "BartForConditionalGeneration",
        {"vocab_size": VOCABULARY, "d_model": HIDDEN, "max_position_embeddings": 40}
        | {
            f"{half}_{name}": value
            for half in ("encoder", "decoder")
            for name, value in (("layers", LAYERS), ("attention_heads", 4), ("ffn_dim", 96))
        },
    ),
    "biogpt": TinyFamily("BioGptConfig", "BioGptForCausalLM"),
    "codegen": TinyFamily("CodeGenConfig", "CodeGenForCausalLM", GPT | {"rotary_dim": 4}),
    "ctrl": TinyFamily("CTRLConfig", "CTRLLMHeadModel", GPT | {"dff": 96}),
    "funnel": TinyFamily(
        "FunnelConfig",
        "FunnelForSequenceClassification",
        {"vocab_size": VOCABULARY, "d_model": HIDDEN, "n_head": 4, "d_head": 12, "d_inner": 96}
        | {"block_sizes": [1, 1], "num_decoder_layers": 1},
    ),
    "glm": TinyFamily(
        "GlmConfig", "GlmForCausalLM", USUAL_SIZES | {"head_dim": 12, "num_key_value_heads": 2}
    ),
    "gpt_bigcode": TinyFamily("GPTBigCodeConfig", "GPTBigCodeForCausalLM", GPT),
    "granite": TinyFamily("GraniteConfig", "GraniteForCausalLM"),
    "jamba": TinyFamily(
        "JambaConfig",
        "JambaForCausalLM",
        USUAL_SIZES
        | {"attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 2, "use_mamba_kernels": False}
        | {"expert_layer_period": 2, "num_key_value_heads": 2},
    ),
    "longformer": TinyFamily(
        "LongformerConfig", "LongformerForSequenceClassification", USUAL_SIZES | {"attention_window": 4}
    ),
    "mamba": TinyFamily("MambaConfig", "MambaForCausalLM"),
    "mixtral": TinyFamily("MixtralConfig", "MixtralForCausalLM", USUAL_SIZES | {"num_key_value_heads": 2}),
    "mpt": TinyFamily(
        "MptConfig",
        "MptForCausalLM",
        {"vocab_size": VOCABULARY, "d_model": HIDDEN, "n_heads": 4, "n_layers": LAYERS, "max_seq_len": 40},
    ),
    "roformer": TinyFamily("RoFormerConfig", "RoFormerForSequenceClassification"),
    "rwkv": TinyFamily("RwkvConfig", "RwkvForCausalLM"),
    "stablelm": TinyFamily("StableLmConfig", "StableLmForCausalLM", USUAL_SIZES | {"num_key_value_heads": 2}),
    "umt5": TinyFamily(
        "UMT5Config",
        "UMT5ForConditionalGeneration",
        {"vocab_size": VOCABULARY, "d_model": HIDDEN, "d_kv": 12, "d_ff": 96, "num_heads": 4}
        | {"num_layers": LAYERS},
    ),
    "xglm": TinyFamily(
        "XGLMConfig",
        "XGLMForCausalLM",
        {"vocab_size": VOCABULARY, "d_model": HIDDEN, "num_layers": LAYERS, "attention_heads": 4}
        | {"ffn_dim": 96, "max_position_embeddings": 40},
    ),
    "xlm": TinyFamily(
        "XLMConfig",
        "XLMForSequenceClassification",
        {"vocab_size": VOCABULARY, "emb_dim": HIDDEN, "n_layers": LAYERS, "n_heads": 4}
        | {"max_position_embeddings": 40},
    ),
    "xlnet": TinyFamily(
        "XLNetConfig",
        "XLNetForSequenceClassification",
        {"vocab_size": VOCABULARY, "d_model": HIDDEN, "n_layer": LAYERS, "n_head": 4, "d_inner": 96},
    ),
}


def unknown_model(name: str, *, device: str = "meta", **changes: Any) -> Any:
    """A model of one of these types; on the meta device it has no numbers."""
    import transformers

    family = UNKNOWN_MODELS[name]
    with torch.random.fork_rng(), torch.device(device):
        torch.manual_seed(0)
        config = getattr(transformers, family.config)(**{**family.settings, **changes})
        return getattr(transformers, family.model)(config).eval()
