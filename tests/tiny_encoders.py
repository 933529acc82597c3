"""Tiny encoders with a classification head, one entry a family."""

from __future__ import annotations

from typing import Any

from tests.tiny_family import USUAL_SIZES, TinyFamily


def classifier(config: str, model: str, head: tuple[str, ...], **settings: Any) -> TinyFamily:
    """An encoder whose ``head`` a base checkpoint lacks."""
    return TinyFamily(config, model, USUAL_SIZES | settings, "SEQ_CLS", head)


ENCODERS = {
    "bert": classifier("BertConfig", "BertForSequenceClassification", ("classifier",)),
    "deberta": classifier(
        "DebertaConfig",
        "DebertaForSequenceClassification",
        ("pooler", "classifier"),
        relative_attention=True,
        pos_att_type="c2p|p2c",
        type_vocab_size=0,
    ),
    "roberta": classifier(
        "RobertaConfig", "RobertaForSequenceClassification", ("classifier",), pad_token_id=1
    ),
}
