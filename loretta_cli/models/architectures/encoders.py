"""Encoders: BERT, RoBERTa, DeBERTa, ALBERT, DistilBERT, ELECTRA, MPNet, ModernBERT."""

from __future__ import annotations

from loretta_cli.models.architectures.base import Architecture


def _bert(words: int, hidden: int, layers: int, heads: int, inner: int | None = None) -> Architecture:
    return Architecture("bert", _encoder(words, hidden, layers, heads, inner))


def _roberta(words: int, hidden: int, layers: int, heads: int) -> Architecture:
    sizes = {"max_position_embeddings": 514, "type_vocab_size": 1}
    return Architecture("roberta", _encoder(words, hidden, layers, heads) | sizes)


def _deberta(hidden: int, layers: int, heads: int) -> Architecture:
    sizes = _encoder(50265, hidden, layers, heads) | {"type_vocab_size": 0, "pooler_hidden_size": hidden}
    return Architecture(
        "deberta",
        sizes
        | {
            "relative_attention": True,
            "max_relative_positions": -1,
            "pos_att_type": ["c2p", "p2c"],
            "position_biased_input": False,
        },
    )


def _deberta_v2(
    words: int, hidden: int, layers: int, heads: int, inner: int | None = None, *, convolution: int = 0
) -> Architecture:
    sizes = _encoder(words, hidden, layers, heads, inner) | {
        "type_vocab_size": 0,
        "pooler_hidden_size": hidden,
        "conv_kernel_size": convolution,
    }
    return Architecture(
        "deberta-v2",
        sizes
        | {
            "relative_attention": True,
            "max_relative_positions": -1,
            "position_buckets": 256,
            "share_att_key": True,
            "norm_rel_ebd": "layer_norm",
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
        },
    )


def _albert(hidden: int, layers: int, heads: int) -> Architecture:
    groups = {"embedding_size": 128, "num_hidden_groups": 1, "inner_group_num": 1}
    return Architecture("albert", _encoder(30000, hidden, layers, heads) | groups)


def _distilbert(words: int) -> Architecture:
    sizes = {"dim": 768, "hidden_dim": 3072, "n_layers": 6, "n_heads": 12}
    return Architecture("distilbert", {"vocab_size": words, "max_position_embeddings": 512} | sizes)


def _electra(hidden: int, layers: int, heads: int, embedding: int, inner: int | None = None) -> Architecture:
    sizes = _encoder(30522, hidden, layers, heads, inner)
    return Architecture("electra", sizes | {"embedding_size": embedding})


def _modernbert(hidden: int, layers: int, heads: int, inner: int) -> Architecture:
    return Architecture(
        "modernbert",
        {
            "vocab_size": 50368,
            "hidden_size": hidden,
            "intermediate_size": inner,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "attention_bias": False,
            "mlp_bias": False,
            "norm_bias": False,
            "classifier_bias": False,
        },
    )


def _encoder(words: int, hidden: int, layers: int, heads: int, inner: int | None = None) -> dict[str, object]:
    return {
        "vocab_size": words,
        "hidden_size": hidden,
        "intermediate_size": inner or 4 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
    }


ENCODERS = {
    "google-bert/bert-base-uncased": _bert(30522, 768, 12, 12),
    "google-bert/bert-base-cased": _bert(28996, 768, 12, 12),
    "google-bert/bert-base-multilingual-cased": _bert(119547, 768, 12, 12),
    "google-bert/bert-large-uncased": _bert(30522, 1024, 24, 16),
    "google-bert/bert-large-cased": _bert(28996, 1024, 24, 16),
    "sentence-transformers/all-MiniLM-L6-v2": _bert(30522, 384, 6, 12),
    "microsoft/MiniLM-L12-H384-uncased": _bert(30522, 384, 12, 12),
    "FacebookAI/roberta-base": _roberta(50265, 768, 12, 12),
    "FacebookAI/roberta-large": _roberta(50265, 1024, 24, 16),
    "distilbert/distilroberta-base": _roberta(50265, 768, 6, 12),
    "microsoft/deberta-base": _deberta(768, 12, 12),
    "microsoft/deberta-large": _deberta(1024, 24, 16),
    "microsoft/deberta-v3-xsmall": _deberta_v2(128100, 384, 12, 6),
    "microsoft/deberta-v3-small": _deberta_v2(128100, 768, 6, 12),
    "microsoft/deberta-v3-base": _deberta_v2(128100, 768, 12, 12),
    "microsoft/deberta-v3-large": _deberta_v2(128100, 1024, 24, 16),
    "microsoft/mdeberta-v3-base": _deberta_v2(251000, 768, 12, 12),
    "microsoft/deberta-v2-xlarge": _deberta_v2(128100, 1536, 24, 24, convolution=3),
    "microsoft/deberta-v2-xxlarge": _deberta_v2(128100, 1536, 48, 24, convolution=3),
    "albert/albert-base-v2": _albert(768, 12, 12),
    "albert/albert-large-v2": _albert(1024, 24, 16),
    "albert/albert-xlarge-v2": _albert(2048, 24, 16),
    "albert/albert-xxlarge-v2": _albert(4096, 12, 64),
    "distilbert/distilbert-base-uncased": _distilbert(30522),
    "distilbert/distilbert-base-cased": _distilbert(28996),
    "google/electra-small-discriminator": _electra(256, 12, 4, 128),
    "google/electra-base-discriminator": _electra(768, 12, 12, 768),
    "google/electra-large-discriminator": _electra(1024, 24, 16, 1024),
    "microsoft/mpnet-base": Architecture(
        "mpnet",
        _encoder(30527, 768, 12, 12) | {"max_position_embeddings": 514, "relative_attention_num_buckets": 32},
    ),
    "answerdotai/ModernBERT-base": _modernbert(768, 22, 12, 1152),
    "answerdotai/ModernBERT-large": _modernbert(1024, 28, 16, 2624),
}
