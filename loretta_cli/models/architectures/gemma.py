"""Gemma 2 and 3. Of Gemma 3 models that also see, the language model alone is counted."""

from __future__ import annotations

from loretta_cli.models.architectures.base import Architecture
from loretta_cli.models.architectures.llama import gated


def _gemma2(*sizes: int, head_dim: int = 256) -> Architecture:
    return gated("gemma2", 256000, *sizes, tied=True, head_dim=head_dim, attention_bias=False)


def _gemma3(*sizes: int, head_dim: int = 256, words: int = 262208) -> Architecture:
    return gated("gemma3_text", words, *sizes, tied=True, head_dim=head_dim, attention_bias=False)


GEMMA = {
    "google/gemma-2-2b": _gemma2(2304, 9216, 26, 8, 4),
    "google/gemma-2-9b": _gemma2(3584, 14336, 42, 16, 8),
    "google/gemma-2-27b": _gemma2(4608, 36864, 46, 32, 16, head_dim=128),
    "google/gemma-3-270m": _gemma3(640, 2048, 18, 4, 1, words=262144),
    "google/gemma-3-1b-pt": _gemma3(1152, 6912, 26, 4, 1, words=262144),
    "google/gemma-3-1b-it": _gemma3(1152, 6912, 26, 4, 1, words=262144),
    "google/gemma-3-4b-pt": _gemma3(2560, 10240, 34, 8, 4),
    "google/gemma-3-12b-pt": _gemma3(3840, 15360, 48, 16, 8),
    "google/gemma-3-27b-pt": _gemma3(5376, 21504, 62, 32, 16, head_dim=128),
}
