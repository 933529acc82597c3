"""GPT-2, Pythia, GPT-J, OPT, BLOOM, Falcon."""

from __future__ import annotations

from loretta_cli.models.architectures.base import Architecture


def _gpt2(hidden: int, layers: int, heads: int) -> Architecture:
    return Architecture(
        "gpt2",
        {
            "vocab_size": 50257,
            "n_positions": 1024,
            "n_embd": hidden,
            "n_layer": layers,
            "n_head": heads,
            "n_inner": None,
            "tie_word_embeddings": True,
        },
    )


def _pythia(words: int, hidden: int, layers: int, heads: int) -> Architecture:
    return Architecture(
        "gpt_neox",
        {
            "vocab_size": words,
            "hidden_size": hidden,
            "intermediate_size": 4 * hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "attention_bias": True,
            "tie_word_embeddings": False,
        },
    )


def _opt(hidden: int, layers: int, heads: int, *, projected: int | None = None) -> Architecture:
    return Architecture(
        "opt",
        {
            "vocab_size": 50272,
            "hidden_size": hidden,
            "ffn_dim": 4 * hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "max_position_embeddings": 2048,
            "word_embed_proj_dim": projected or hidden,
            # OPT-350m alone projects its embeddings, and normalises behind its sublayers.
            "do_layer_norm_before": projected is None,
            "_remove_final_layer_norm": False,
            "enable_bias": True,
            "layer_norm_elementwise_affine": True,
            "tie_word_embeddings": True,
        },
    )


def _bloom(hidden: int, layers: int, heads: int) -> Architecture:
    return Architecture(
        "bloom",
        {
            "vocab_size": 250880,
            "hidden_size": hidden,
            "n_layer": layers,
            "n_head": heads,
            "tie_word_embeddings": True,
        },
    )


def _falcon(
    words: int, hidden: int, layers: int, heads: int, kv_heads: int, *, new_decoder: bool
) -> Architecture:
    return Architecture(
        "falcon",
        {
            "vocab_size": words,
            "hidden_size": hidden,
            "ffn_hidden_size": 4 * hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_kv_heads": kv_heads,
            "new_decoder_architecture": new_decoder,
            "multi_query": True,
            "parallel_attn": True,
            "num_ln_in_parallel_attn": None,
            "alibi": False,
            "bias": False,
            "tie_word_embeddings": True,
        },
    )


_PYTHIA = {
    "70m": (50304, 512, 6, 8),
    "160m": (50304, 768, 12, 12),
    "410m": (50304, 1024, 24, 16),
    "1b": (50304, 2048, 16, 8),
    "1.4b": (50304, 2048, 24, 16),
    "2.8b": (50304, 2560, 32, 32),
    "6.9b": (50432, 4096, 32, 32),
    "12b": (50688, 5120, 36, 40),
}

GPT = {
    "openai-community/gpt2": _gpt2(768, 12, 12),
    "openai-community/gpt2-medium": _gpt2(1024, 24, 16),
    "openai-community/gpt2-large": _gpt2(1280, 36, 20),
    "openai-community/gpt2-xl": _gpt2(1600, 48, 25),
    "distilbert/distilgpt2": _gpt2(768, 6, 12),
    **{f"EleutherAI/pythia-{size}": _pythia(*sizes) for size, sizes in _PYTHIA.items()},
    "EleutherAI/gpt-neox-20b": _pythia(50432, 6144, 44, 64),
    "EleutherAI/gpt-j-6b": Architecture(
        "gptj",
        {
            "vocab_size": 50400,
            "n_positions": 2048,
            "n_embd": 4096,
            "n_layer": 28,
            "n_head": 16,
            "rotary_dim": 64,
            "n_inner": None,
            "tie_word_embeddings": False,
        },
    ),
    "facebook/opt-125m": _opt(768, 12, 12),
    "facebook/opt-350m": _opt(1024, 24, 16, projected=512),
    "facebook/opt-1.3b": _opt(2048, 24, 32),
    "facebook/opt-2.7b": _opt(2560, 32, 32),
    "facebook/opt-6.7b": _opt(4096, 32, 32),
    "facebook/opt-13b": _opt(5120, 40, 40),
    "facebook/opt-30b": _opt(7168, 48, 56),
    "facebook/opt-66b": _opt(9216, 64, 72),
    "bigscience/bloom-560m": _bloom(1024, 24, 16),
    "bigscience/bloom-1b1": _bloom(1536, 24, 16),
    "bigscience/bloom-1b7": _bloom(2048, 24, 16),
    "bigscience/bloom-3b": _bloom(2560, 30, 32),
    "bigscience/bloom-7b1": _bloom(4096, 30, 32),
    "bigscience/bloom": _bloom(14336, 70, 112),
    "tiiuae/falcon-7b": _falcon(65024, 4544, 32, 71, 1, new_decoder=False),
    "tiiuae/falcon-40b": _falcon(65024, 8192, 60, 128, 8, new_decoder=True),
}
