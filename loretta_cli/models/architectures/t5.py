"""T5, T5 1.1 and Flan-T5."""

from __future__ import annotations

from loretta_cli.models.architectures.base import Architecture


def _t5(hidden: int, inner: int, layers: int, heads: int, *, width: int = 64, gated: bool) -> Architecture:
    return Architecture(
        "t5",
        {
            "vocab_size": 32128,
            "d_model": hidden,
            "d_kv": width,
            "d_ff": inner,
            "num_layers": layers,
            "num_decoder_layers": layers,
            "num_heads": heads,
            "relative_attention_num_buckets": 32,
            "feed_forward_proj": "gated-gelu" if gated else "relu",
            "tie_word_embeddings": not gated,
        },
    )


_GATED = {
    "small": _t5(512, 1024, 8, 6, gated=True),
    "base": _t5(768, 2048, 12, 12, gated=True),
    "large": _t5(1024, 2816, 24, 16, gated=True),
    "xl": _t5(2048, 5120, 24, 32, gated=True),
    "xxl": _t5(4096, 10240, 24, 64, gated=True),
}

T5 = {
    "google-t5/t5-small": _t5(512, 2048, 6, 8, gated=False),
    "google-t5/t5-base": _t5(768, 3072, 12, 12, gated=False),
    "google-t5/t5-large": _t5(1024, 4096, 24, 16, gated=False),
    "google-t5/t5-3b": _t5(1024, 16384, 24, 32, width=128, gated=False),
    "google-t5/t5-11b": _t5(1024, 65536, 24, 128, width=128, gated=False),
    **{f"google/t5-v1_1-{size}": architecture for size, architecture in _GATED.items()},
    **{f"google/flan-t5-{size}": architecture for size, architecture in _GATED.items()},
}
