"""The encoder families: what is adapted in each, and options of published models."""

from __future__ import annotations

from typing import Any

import pytest

from loretta_cli.models.families import Family, Placement, family_of
from tests.models.families.test_outlines import linear_layers, modules_with_parameters, outline_of
from tests.tiny_encoders import ENCODERS
from tests.tiny_models import LAYERS, tiny_config, tiny_model
from tests.tuners.expected import sizes_of

SQUARE, UP, DOWN = (48, 48), (48, 96), (96, 48)
FUSED, GATE_AND_UP = (48, 3 * 48), (48, 2 * 96)
ADAPTED = {
    "albert": ([SQUARE, SQUARE], [UP, DOWN]),
    "bert": ([SQUARE, SQUARE], [UP, DOWN]),
    "deberta": ([FUSED], [UP, DOWN]),
    "deberta-v2": ([SQUARE, SQUARE], [UP, DOWN]),
    "distilbert": ([SQUARE, SQUARE], [UP, DOWN]),
    "electra": ([SQUARE, SQUARE], [UP, DOWN]),
    "modernbert": ([FUSED], [GATE_AND_UP, DOWN]),
    "mpnet": ([SQUARE, SQUARE], [UP, DOWN]),
    "roberta": ([SQUARE, SQUARE], [UP, DOWN]),
}
"""By hand, a block: the layers (in, out) of rep and of adp's placement ``mlp``."""


@pytest.mark.parametrize("name", ENCODERS)
def test_each_method_adapts_these_layers_of_a_block_and_no_others(name: str) -> None:
    family, model = family_of(tiny_config(name).model_type), tiny_model(name)
    assert family is not None
    blocks = 1 if family.shares_blocks else LAYERS
    rep, mlp = ADAPTED[name]
    assert sorted(sizes_of(model, family.rep_targets)) == sorted(blocks * rep)
    assert sorted(adapted_by_adp(model, family, "mlp")) == sorted(blocks * mlp)
    assert sorted(adapted_by_adp(model, family, "sublayer")) == sorted(blocks * [SQUARE, DOWN])


def adapted_by_adp(model: Any, family: Family, placement: Placement) -> list[tuple[int, int]]:
    """``(in, out)`` of the layers that carry an adapter."""
    sites = family.sites[placement]
    return sizes_of(model, (*sites.input, *sites.output), sites.exclude)


VERSION_2 = {"conv_kernel_size": 3, "conv_act": "gelu", "attention_head_size": 12}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("albert", {"num_hidden_layers": 12}),
        ("albert", {"num_hidden_groups": 2, "inner_group_num": 2}),
        ("deberta-v2", VERSION_2),
        ("deberta-v2", VERSION_2 | {"conv_groups": 4}),
        ("deberta-v2", {"share_att_key": False}),
        ("deberta-v2", {"share_att_key": False, "pos_att_type": ["c2p"]}),
        ("deberta-v2", {"position_buckets": -1}),
        ("deberta-v2", {"position_buckets": -1, "max_relative_positions": 16}),
        ("deberta-v2", {"relative_attention": False, "pos_att_type": None}),
        ("deberta-v2", {"norm_rel_ebd": "none"}),
        ("deberta-v2", {"position_biased_input": True, "type_vocab_size": 2}),
        ("deberta-v2", {"embedding_size": 16, "pooler_hidden_size": 24}),
        ("deberta-v2", {"attention_head_size": 8}),
        ("electra", {"embedding_size": 48}),
        ("modernbert", {"attention_bias": True}),
        ("modernbert", {"mlp_bias": True, "classifier_bias": True}),
        ("modernbert", {"norm_bias": True}),
        ("mpnet", {"relative_attention_num_buckets": 16}),
    ],
)
def test_an_option_of_a_config_is_in_the_outline(name: str, changes: dict[str, Any]) -> None:
    model = tiny_model(name, **changes)
    outline = outline_of(name, model)
    assert {entry.name: entry.parameters for entry in outline if entry.parameters} == modules_with_parameters(
        model
    )
    assert {
        entry.name: (entry.in_features, entry.out_features, entry.biases)
        for entry in outline
        if entry.kind == "linear"
    } == linear_layers(model)
    linear = [entry.name for entry in outline if entry.kind == "linear"]
    assert linear == [full for full, _ in model.named_modules() if full in set(linear)]
    biases = sum(value.numel() for full, value in model.named_parameters() if full.endswith("bias"))
    assert sum(entry.biases for entry in outline) == biases


def test_options_that_a_config_of_deberta_leaves_out_have_the_defaults_of_the_model() -> None:
    config = tiny_config("deberta-v2").to_dict()
    optional = ("share_att_key", "position_buckets", "norm_rel_ebd")
    model = tiny_model(
        "deberta-v2", **dict(zip(optional, (False, -1, "none"), strict=True)), conv_kernel_size=0
    )
    family = family_of("deberta-v2")
    assert family is not None
    facts = {name: value for name, value in config.items() if name not in optional}
    outline = family.outline(facts, "classification", 3)
    assert {entry.name: entry.parameters for entry in outline} == modules_with_parameters(model)
