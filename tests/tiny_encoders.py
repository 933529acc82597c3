"""Tiny encoders with a classification head, one entry a family."""

from __future__ import annotations

from typing import Any

from tests.tiny_family import HIDDEN, LABELS, LAYERS, USUAL_SIZES, VOCABULARY, TinyFamily


def classifier(config: str, model: str, head: tuple[str, ...], **settings: Any) -> TinyFamily:
    """An encoder whose ``head`` a base checkpoint lacks."""
    return TinyFamily(config, model, USUAL_SIZES | settings, "SEQ_CLS", head)


DISTILBERT = {
    "vocab_size": VOCABULARY,
    "dim": HIDDEN,
    "hidden_dim": 2 * HIDDEN,
    "n_layers": LAYERS,
    "n_heads": 4,
    "max_position_embeddings": 40,
    "num_labels": LABELS,
    "initializer_range": 0.2,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "seq_classif_dropout": 0.0,
}

ENCODERS = {
    "albert": classifier(
        "AlbertConfig",
        "AlbertForSequenceClassification",
        ("classifier",),
        embedding_size=16,
        classifier_dropout_prob=0.0,
    ),
    "bert": classifier("BertConfig", "BertForSequenceClassification", ("classifier",)),
    "deberta": classifier(
        "DebertaConfig",
        "DebertaForSequenceClassification",
        ("pooler", "classifier"),
        relative_attention=True,
        pos_att_type="c2p|p2c",
        type_vocab_size=0,
    ),
    # Version 3 as published: buckets of distances, position projections shared with those of words.
    "deberta-v2": classifier(
        "DebertaV2Config",
        "DebertaV2ForSequenceClassification",
        ("pooler", "classifier"),
        relative_attention=True,
        pos_att_type="p2c|c2p",
        position_biased_input=False,
        position_buckets=8,
        share_att_key=True,
        norm_rel_ebd="layer_norm",
        type_vocab_size=0,
    ),
    "distilbert": TinyFamily(
        "DistilBertConfig",
        "DistilBertForSequenceClassification",
        DISTILBERT,
        "SEQ_CLS",
        ("pre_classifier", "classifier"),
    ),
    "electra": classifier(
        "ElectraConfig", "ElectraForSequenceClassification", ("classifier",), embedding_size=16
    ),
    "modernbert": classifier(
        "ModernBertConfig",
        "ModernBertForSequenceClassification",
        ("classifier",),
        bos_token_id=1,
        cls_token_id=1,
        eos_token_id=2,
        sep_token_id=2,
        local_attention=4,
    ),
    "mpnet": classifier("MPNetConfig", "MPNetForSequenceClassification", ("classifier",), pad_token_id=1),
    "roberta": classifier(
        "RobertaConfig", "RobertaForSequenceClassification", ("classifier",), pad_token_id=1
    ),
}
