"""What a classifier of each encoder family finds in a checkpoint that was saved without its head."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers

from loretta_cli.models.loading import load_model
from loretta_cli.models.source import find_model
from loretta_cli.tuners.settings import outside_head
from tests.tiny_models import tiny_config

TWO_LAYERS = ("classifier.dense", "classifier.out_proj")

CHECKPOINTS: list[tuple[str, str, tuple[str, ...], list[str]]] = [
    ("albert", "AlbertForPreTraining", ("classifier",), []),
    ("albert", "AlbertForMaskedLM", ("albert.pooler", "classifier"), ["albert.pooler"]),
    ("bert", "BertForPreTraining", ("classifier",), []),
    ("bert", "BertForMaskedLM", ("bert.pooler.dense", "classifier"), ["bert.pooler.dense"]),
    ("deberta", "DebertaForMaskedLM", ("classifier", "pooler.dense"), []),
    ("deberta-v2", "DebertaV2Model", ("classifier", "pooler.dense"), []),
    ("deberta-v2", "DebertaV2ForMaskedLM", ("classifier", "pooler.dense"), []),
    ("distilbert", "DistilBertForMaskedLM", ("classifier", "pre_classifier"), []),
    ("electra", "ElectraModel", TWO_LAYERS, []),
    ("electra", "ElectraForPreTraining", TWO_LAYERS, []),
    ("modernbert", "ModernBertForMaskedLM", ("classifier",), []),
    (
        "modernbert",
        "ModernBertModel",
        ("classifier", "head.dense", "head.norm"),
        ["head.dense", "head.norm"],
    ),
    ("mpnet", "MPNetModel", TWO_LAYERS, []),
    ("mpnet", "MPNetForMaskedLM", TWO_LAYERS, []),
    ("roberta", "RobertaForMaskedLM", TWO_LAYERS, []),
]
"""Family, class that saved the checkpoint, modules that are new, and those of them outside the head."""


@pytest.mark.parametrize(("family", "saved_as", "new", "outside"), CHECKPOINTS)
def test_a_checkpoint_lacks_the_head_and_keeps_the_rest(
    family: str, saved_as: str, new: tuple[str, ...], outside: list[str], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    base = getattr(transformers, saved_as)(tiny_config(family))
    base.save_pretrained(tmp_path)
    loaded = load_model(find_model(str(tmp_path)), "classification", labels=("a", "b", "c"))

    assert loaded.new_modules == new
    assert outside_head(loaded.new_modules, family) == outside
    saved = {
        name.removeprefix(f"{base.base_model_prefix}."): value for name, value in base.state_dict().items()
    }
    for name, value in loaded.model.state_dict().items():
        if name.rpartition(".")[0] not in new:
            assert torch.equal(value, saved[name.removeprefix(f"{base.base_model_prefix}.")]), name
