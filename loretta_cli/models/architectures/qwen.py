"""Qwen 2, 2.5 and 3 (dense models)."""

from __future__ import annotations

from loretta_cli.models.architectures.base import Architecture
from loretta_cli.models.architectures.llama import gated


def _qwen2(*sizes: int, words: int = 151936, tied: bool = False) -> Architecture:
    return gated("qwen2", words, *sizes, tied=tied)


def _qwen3(*sizes: int, tied: bool = False) -> Architecture:
    return gated("qwen3", 151936, *sizes, tied=tied, head_dim=128, attention_bias=False)


_QWEN2 = {
    "0.5B": _qwen2(896, 4864, 24, 14, 2, tied=True),
    "1.5B": _qwen2(1536, 8960, 28, 12, 2, tied=True),
    "3B": _qwen2(2048, 11008, 36, 16, 2, tied=True),
    "7B": _qwen2(3584, 18944, 28, 28, 4, words=152064),
    "14B": _qwen2(5120, 13824, 48, 40, 8, words=152064),
    "32B": _qwen2(5120, 27648, 64, 40, 8, words=152064),
    "72B": _qwen2(8192, 29568, 80, 64, 8, words=152064),
}

QWEN = {
    **{f"Qwen/Qwen2-{size}": _QWEN2[size] for size in ("0.5B", "1.5B", "7B", "72B")},
    **{f"Qwen/Qwen2.5-{size}": architecture for size, architecture in _QWEN2.items()},
    **{f"Qwen/Qwen2.5-{size}-Instruct": architecture for size, architecture in _QWEN2.items()},
    "Qwen/Qwen3-0.6B": _qwen3(1024, 3072, 28, 16, 8, tied=True),
    "Qwen/Qwen3-1.7B": _qwen3(2048, 6144, 28, 16, 8, tied=True),
    "Qwen/Qwen3-4B": _qwen3(2560, 9728, 36, 32, 8, tied=True),
    "Qwen/Qwen3-8B": _qwen3(4096, 12288, 36, 32, 8),
    "Qwen/Qwen3-14B": _qwen3(5120, 17408, 40, 40, 8),
    "Qwen/Qwen3-32B": _qwen3(5120, 25600, 64, 64, 8),
}
