"""LLaMA 2 to 3.3, and the models with its blocks: SmolLM2, Mistral, Phi-3."""

from __future__ import annotations

from loretta_cli.models.architectures.base import Architecture


def gated(
    model_type: str,
    words: int,
    hidden: int,
    inner: int,
    layers: int,
    heads: int,
    kv_heads: int,
    *,
    tied: bool = False,
    **more: object,
) -> Architecture:
    """A decoder of grouped-query attention and a gated MLP; ``more`` are further settings.

    The functions below hand ``sizes`` on to it: what is left of the numbers, in this order.
    """
    settings = {
        "vocab_size": words,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "tie_word_embeddings": tied,
    }
    return Architecture(model_type, settings | more)


def _llama(words: int, *sizes: int, tied: bool = False) -> Architecture:
    return gated("llama", words, *sizes, tied=tied, attention_bias=False, mlp_bias=False)


def _mistral(
    words: int, hidden: int, inner: int, layers: int, *, head_dim: int | None = None
) -> Architecture:
    return gated("mistral", words, hidden, inner, layers, 32, 8, head_dim=head_dim)


def _phi3(*sizes: int) -> Architecture:
    return gated("phi3", 32064, *sizes)


_LLAMA_3_8B = _llama(128256, 4096, 14336, 32, 32, 8)
_LLAMA_3_70B = _llama(128256, 8192, 28672, 80, 64, 8)
_LLAMA_3_1B = _llama(128256, 2048, 8192, 16, 32, 8, tied=True)
_LLAMA_3_3B = _llama(128256, 3072, 8192, 28, 24, 8, tied=True)

LLAMA = {
    "meta-llama/Llama-2-7b-hf": _llama(32000, 4096, 11008, 32, 32, 32),
    "meta-llama/Llama-2-13b-hf": _llama(32000, 5120, 13824, 40, 40, 40),
    "meta-llama/Llama-2-70b-hf": _llama(32000, 8192, 28672, 80, 64, 8),
    "meta-llama/Meta-Llama-3-8B": _LLAMA_3_8B,
    "meta-llama/Meta-Llama-3-70B": _LLAMA_3_70B,
    "meta-llama/Llama-3.1-8B": _LLAMA_3_8B,
    "meta-llama/Llama-3.1-8B-Instruct": _LLAMA_3_8B,
    "meta-llama/Llama-3.1-70B": _LLAMA_3_70B,
    "meta-llama/Llama-3.1-70B-Instruct": _LLAMA_3_70B,
    "meta-llama/Llama-3.2-1B": _LLAMA_3_1B,
    "meta-llama/Llama-3.2-1B-Instruct": _LLAMA_3_1B,
    "meta-llama/Llama-3.2-3B": _LLAMA_3_3B,
    "meta-llama/Llama-3.2-3B-Instruct": _LLAMA_3_3B,
    "meta-llama/Llama-3.3-70B-Instruct": _LLAMA_3_70B,
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": _llama(32000, 2048, 5632, 22, 32, 4),
    "HuggingFaceTB/SmolLM2-135M": _llama(49152, 576, 1536, 30, 9, 3, tied=True),
    "HuggingFaceTB/SmolLM2-135M-Instruct": _llama(49152, 576, 1536, 30, 9, 3, tied=True),
    "HuggingFaceTB/SmolLM2-360M": _llama(49152, 960, 2560, 32, 15, 5, tied=True),
    "HuggingFaceTB/SmolLM2-1.7B": _llama(49152, 2048, 8192, 24, 32, 32, tied=True),
    "mistralai/Mistral-7B-v0.1": _mistral(32000, 4096, 14336, 32),
    "mistralai/Mistral-7B-v0.3": _mistral(32768, 4096, 14336, 32),
    "mistralai/Mistral-7B-Instruct-v0.3": _mistral(32768, 4096, 14336, 32),
    "mistralai/Mistral-Nemo-Base-2407": _mistral(131072, 5120, 14336, 40, head_dim=128),
    "mistralai/Mistral-Small-24B-Base-2501": _mistral(131072, 5120, 32768, 40, head_dim=128),
    "microsoft/Phi-3-mini-4k-instruct": _phi3(3072, 8192, 32, 32, 32),
    "microsoft/Phi-3-medium-4k-instruct": _phi3(5120, 17920, 40, 40, 10),
}
