"""Tiny language models, one entry a family; some with a classification head."""

from __future__ import annotations

from dataclasses import replace

from tests.tiny_family import HIDDEN, LAYERS, USUAL_SIZES, VOCABULARY, TinyFamily

SPECIAL_TOKENS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
LLAMA = USUAL_SIZES | SPECIAL_TOKENS | {"num_key_value_heads": 2}
WIDE_HEADS = LLAMA | {"head_dim": 16}
"""Four heads of 16 in a model of 48, as in Gemma, Qwen 3 and Mistral Nemo."""
GEMMA2 = WIDE_HEADS | {
    "query_pre_attn_scalar": 16,
    "sliding_window": 4,
    "layer_types": ["sliding_attention", "full_attention"],
}
GPT2 = (
    USUAL_SIZES
    | SPECIAL_TOKENS
    | {
        "n_embd": HIDDEN,
        "n_layer": LAYERS,
        "n_head": 4,
        "n_positions": 40,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
    }
)
GPT2 = {name: value for name, value in GPT2.items() if not name.startswith(("hidden", "intermediate"))}
OPT = (
    USUAL_SIZES
    | SPECIAL_TOKENS
    | {"ffn_dim": 2 * HIDDEN, "init_std": 0.2, "dropout": 0.0, "word_embed_proj_dim": HIDDEN}
)
FALCON = USUAL_SIZES | SPECIAL_TOKENS | {"ffn_hidden_size": 2 * HIDDEN}


def classifier(family: TinyFamily, model: str) -> TinyFamily:
    """The same model with a score head, which a base checkpoint lacks."""
    return replace(family, model=model, task_type="SEQ_CLS", head=("score",))


DECODERS = {
    "bloom": TinyFamily(
        "BloomConfig",
        "BloomForCausalLM",
        SPECIAL_TOKENS
        | {
            "vocab_size": VOCABULARY,
            "hidden_size": HIDDEN,
            "n_layer": LAYERS,
            "n_head": 4,
            "num_labels": 3,
            "initializer_range": 0.2,
        },
    ),
    "codegen": TinyFamily("CodeGenConfig", "CodeGenForCausalLM", GPT2 | {"rotary_dim": 4}),
    "falcon": TinyFamily("FalconConfig", "FalconForCausalLM", FALCON),
    "falcon-grouped": TinyFamily(
        "FalconConfig",
        "FalconForCausalLM",
        FALCON | {"new_decoder_architecture": True, "num_kv_heads": 2, "bias": True},
    ),
    "gemma": TinyFamily("GemmaConfig", "GemmaForCausalLM", WIDE_HEADS),
    "gemma2": TinyFamily("Gemma2Config", "Gemma2ForCausalLM", GEMMA2),
    "gemma3": TinyFamily("Gemma3TextConfig", "Gemma3ForCausalLM", GEMMA2),
    "gpt2": TinyFamily("GPT2Config", "GPT2LMHeadModel", GPT2),
    "gpt_neox": TinyFamily("GPTNeoXConfig", "GPTNeoXForCausalLM", USUAL_SIZES | SPECIAL_TOKENS),
    "gptj": TinyFamily("GPTJConfig", "GPTJForCausalLM", GPT2 | {"rotary_dim": 4}),
    "llama": TinyFamily("LlamaConfig", "LlamaForCausalLM", LLAMA),
    "mistral": TinyFamily("MistralConfig", "MistralForCausalLM", WIDE_HEADS | {"sliding_window": 4}),
    "opt": TinyFamily("OPTConfig", "OPTForCausalLM", OPT),
    "phi3": TinyFamily("Phi3Config", "Phi3ForCausalLM", LLAMA),
    "qwen2": TinyFamily("Qwen2Config", "Qwen2ForCausalLM", LLAMA),
    "qwen3": TinyFamily("Qwen3Config", "Qwen3ForCausalLM", WIDE_HEADS | {"tie_word_embeddings": True}),
}
DECODERS |= {
    "gpt2-classifier": classifier(DECODERS["gpt2"], "GPT2ForSequenceClassification"),
    "llama-classifier": classifier(DECODERS["llama"], "LlamaForSequenceClassification"),
    "opt-classifier": replace(
        classifier(DECODERS["opt"], "OPTForSequenceClassification"),
        settings=OPT | {"word_embed_proj_dim": 32, "do_layer_norm_before": False},
    ),
    "qwen3-classifier": classifier(DECODERS["qwen3"], "Qwen3ForSequenceClassification"),
}
