"""The paper's parameter counts, exactly, from models of the paper's sizes without weights."""

from __future__ import annotations

from typing import Any

import peft
import pytest
import torch

from tests.tuners.adapters import CONFIGS, trainable_count

LLAMA_2 = {
    "7b": {
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
    },
    "13b": {
        "hidden_size": 5120,
        "intermediate_size": 13824,
        "num_hidden_layers": 40,
        "num_attention_heads": 40,
    },
    "70b": {
        "hidden_size": 8192,
        "intermediate_size": 28672,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
    },
}

PUBLISHED = {
    ("7b", "adp"): 876_800,
    ("13b", "adp"): 1_676_160,
    ("70b", "adp"): 4_728_832,
    ("7b", "rep"): 507_904,
    ("13b", "rep"): 769_280,
    ("70b", "rep"): 1_987_072,
    ("deberta", "adp"): 99_034,
    ("deberta", "rep"): 54_068,
}


def model_without_weights(name: str) -> Any:
    """The model on ``meta``: shapes only."""
    import transformers as hf

    with torch.device("meta"):
        if name == "deberta":
            config = hf.DebertaConfig(relative_attention=True, pos_att_type="c2p|p2c", type_vocab_size=0)
            return hf.DebertaForSequenceClassification(config)
        return hf.LlamaForCausalLM(hf.LlamaConfig(vocab_size=32000, **LLAMA_2[name]))


@pytest.mark.parametrize(("name", "method"), PUBLISHED)
def test_the_automatic_preset_has_the_published_count(name: str, method: str) -> None:
    task_type = "SEQ_CLS" if name == "deberta" else "CAUSAL_LM"
    model = peft.get_peft_model(model_without_weights(name), CONFIGS[method](task_type=task_type))
    assert model.peft_config["default"].preset == "paper"
    assert trainable_count(model) == PUBLISHED[name, method]


@pytest.mark.parametrize(("rank", "count"), [(2, 67_762), (5, 99_034), (10, 206_194), (20, 626_914)])
def test_deberta_adp_has_the_counts_of_the_rank_study(rank: int, count: int) -> None:
    model = peft.get_peft_model(
        model_without_weights("deberta"), CONFIGS["adp"](task_type="SEQ_CLS", tt_rank=rank)
    )
    assert trainable_count(model) == count


@pytest.mark.parametrize(("rank", "count"), [(2, 42_056), (5, 54_068), (10, 94_568), (20, 252_368)])
def test_deberta_rep_has_the_counts_of_the_rank_study(rank: int, count: int) -> None:
    model = peft.get_peft_model(
        model_without_weights("deberta"), CONFIGS["rep"](task_type="SEQ_CLS", tt_rank=rank)
    )
    assert trainable_count(model) == count
