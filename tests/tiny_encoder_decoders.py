"""Tiny encoder-decoders, one entry a variant of T5."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from tests.tiny_family import HIDDEN, LABELS, LAYERS, VOCABULARY, TinyFamily

START, END = 0, 1
"""What the decoder begins with (T5's padding token), and what ends a text."""

T5 = {
    "vocab_size": VOCABULARY,
    "d_model": HIDDEN,
    "d_kv": 12,
    "d_ff": 2 * HIDDEN,
    "num_layers": LAYERS,
    "num_heads": 4,
    "num_labels": LABELS,
    "pad_token_id": START,
    "eos_token_id": END,
    "decoder_start_token_id": START,
}
GATED = T5 | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
"""As T5 1.1 and Flan-T5 are: with an output layer of their own."""

ENCODER_DECODERS = {
    "t5": TinyFamily("T5Config", "T5ForConditionalGeneration", T5, "SEQ_2_SEQ_LM"),
    "t5-gated": TinyFamily("T5Config", "T5ForConditionalGeneration", GATED, "SEQ_2_SEQ_LM"),
    "t5-classifier": TinyFamily(
        "T5Config", "T5ForSequenceClassification", T5, "SEQ_CLS", ("classification_head",)
    ),
}


def with_decoder_inputs(batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The batch with the same tokens for the decoder; each text ends with the token that heads look at."""
    ids = batch["input_ids"].clone()
    ids[:, -1] = END
    shifted = torch.cat([torch.full_like(ids[:, :1], START), ids[:, :-1]], dim=1)
    return {**batch, "input_ids": ids, "decoder_input_ids": shifted}
