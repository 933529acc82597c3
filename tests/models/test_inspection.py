"""Roles of layers found by looking at models whose families the project does not know."""

from __future__ import annotations

import pytest
from torch import nn

from loretta_cli.models.families import family_of
from loretta_cli.models.inspection import (
    LinearLayer,
    block_index,
    distinguishing_names,
    head_modules,
    linear_layers,
    propose_roles,
)
from tests.tiny_models import TwoLayerNet, tiny_model
from tests.unknown_models import UNKNOWN_MODELS, unknown_model

SPLIT = {"query": ["q_proj"], "key": ["k_proj"], "value": ["v_proj"]}
GATED = {"ffn_input": ["gate_proj", "up_proj"], "ffn_output": ["down_proj"]}
LLAMA = {**SPLIT, "attention_output": ["o_proj"], **GATED}
FAIRSEQ = {**SPLIT, "attention_output": ["out_proj"], "ffn_input": ["fc1"], "ffn_output": ["fc2"]}
BERT = {
    "query": ["query"],
    "key": ["key"],
    "value": ["value"],
    "attention_output": ["attention.output.dense"],
    "ffn_input": ["intermediate.dense"],
    # `output.dense` alone would be the attention's too.
    "ffn_output": ["0.output.dense", "1.output.dense"],
}

FOUND = {
    "bart": FAIRSEQ,
    "biogpt": FAIRSEQ,
    "codegen": {
        "query_key_value": ["qkv_proj"],
        "attention_output": ["out_proj"],
        "ffn_input": ["fc_in"],
        "ffn_output": ["fc_out"],
    },
    "ctrl": {
        "query": ["Wq"],
        "key": ["Wk"],
        "value": ["Wv"],
        "attention_output": ["dense"],
        "ffn_input": ["ffn.0"],
        "ffn_output": ["ffn.2"],
    },
    "funnel": {
        "query": ["q_head"],
        "key": ["k_head"],
        "value": ["v_head"],
        "attention_output": ["post_proj"],
        "ffn_input": ["linear_1"],
        "ffn_output": ["linear_2"],
    },
    "glm": LLAMA | {"ffn_input": ["gate_up_proj"]},
    "gpt_bigcode": {
        "query_key_value": ["c_attn"],
        "attention_output": ["attn.c_proj"],
        "ffn_input": ["c_fc"],
        "ffn_output": ["mlp.c_proj"],
    },
    "granite": LLAMA,
    "jamba": LLAMA,
    "longformer": BERT,
    # Nothing there is an attention or a feed-forward network of linear layers.
    "mamba": {},
    # The experts' weights are no linear layers.
    "mixtral": {**SPLIT, "attention_output": ["o_proj"]},
    "mpt": {
        "query_key_value": ["Wqkv"],
        "attention_output": ["out_proj"],
        "ffn_input": ["up_proj"],
        "ffn_output": ["down_proj"],
    },
    "roformer": BERT,
    "rwkv": {},
    "stablelm": LLAMA,
    "umt5": {
        "query": ["q"],
        "key": ["k"],
        "value": ["v"],
        "attention_output": ["o"],
        "ffn_input": ["wi_0", "wi_1"],
        "ffn_output": ["wo"],
    },
    "xglm": FAIRSEQ,
    "xlm": {
        "query": ["q_lin"],
        "key": ["k_lin"],
        "value": ["v_lin"],
        "attention_output": ["out_lin"],
        "ffn_input": ["lin1"],
        "ffn_output": ["lin2"],
    },
    # Query, key and value are no linear layers there.
    "xlnet": {"ffn_input": ["layer_1"], "ffn_output": ["layer_2"]},
}
"""Model type to role to the names that distinguish its layers."""


def test_these_models_are_of_no_known_family() -> None:
    assert set(FOUND) == set(UNKNOWN_MODELS)
    assert [name for name in FOUND if family_of(name) is not None] == []


@pytest.mark.parametrize("name", FOUND)
def test_roles_are_found_by_names_shapes_and_places(name: str) -> None:
    model = unknown_model(name)
    names = [full for full, _ in model.named_modules()]
    proposal = propose_roles(linear_layers(model), model.config.hidden_size)

    found = {role: distinguishing_names(layers, names) for role, layers in proposal.roles.items()}

    assert found == FOUND[name]


@pytest.mark.parametrize("name", ["bert", "deberta-v2", "gpt2", "llama", "t5", "t5-gated"])
def test_roles_of_known_families_are_those_written_down(name: str) -> None:
    model = tiny_model(name)
    family = family_of(model.config.model_type)
    assert family is not None
    layers = linear_layers(model)
    proposal = propose_roles(layers)

    def ending(names: tuple[str, ...]) -> set[str]:
        return {layer.name for layer in layers if f".{layer.name}".endswith(tuple(f".{n}" for n in names))}

    rep = proposal.layers("query", "value", "query_key_value")
    assert {layer.name for layer in rep} == ending(family.rep_targets)
    sublayer = proposal.layers("attention_output", "ffn_output")
    assert {layer.name for layer in sublayer} == ending(family.sites["sublayer"].output)


@pytest.mark.parametrize("name", FOUND)
def test_names_match_their_layers_and_no_other_module(name: str) -> None:
    model = unknown_model(name)
    modules = [full for full, _ in model.named_modules()]
    proposal = propose_roles(linear_layers(model), model.config.hidden_size)
    for layers in proposal.roles.values():
        ends = distinguishing_names(layers, modules)
        matched = {full for full in modules if any(full == end or full.endswith(f".{end}") for end in ends)}
        assert matched == {layer.name for layer in layers}


@pytest.mark.parametrize(
    "layers",
    [
        [LinearLayer("h.0.mlp.back", 96, 48)],
        [LinearLayer("h.0.mlp.wide", 48, 96), LinearLayer("h.0.mlp.back", 80, 48)],
        [
            LinearLayer("h.0.mix.wide", 48, 96),
            LinearLayer("h.0.mix.x", 96, 7),
            LinearLayer("h.0.mix.back", 96, 48),
        ],
    ],
    ids=["alone", "other width", "with a stranger"],
)
def test_layers_that_do_not_widen_and_narrow_alone_are_no_feed_forward_network(
    layers: list[LinearLayer],
) -> None:
    assert propose_roles(layers, 48).roles == {}


def test_layers_outside_of_repeated_blocks_have_no_role() -> None:
    assert propose_roles(linear_layers(TwoLayerNet()), 20).roles == {}
    assert propose_roles([LinearLayer("attention.qkv", 48, 144)]).roles == {}


def test_two_layers_that_lead_back_leave_the_role_open() -> None:
    attention = [LinearLayer(f"h.0.attn.{name}", 48, 48) for name in ("q", "k", "v", "out_1", "out_2")]
    assert set(propose_roles(attention).roles) == {"query", "key", "value"}


def test_without_an_attention_and_a_width_nothing_is_found() -> None:
    layers = [LinearLayer("h.0.ff.up", 48, 96), LinearLayer("h.0.ff.down", 96, 48)]
    assert propose_roles(layers).roles == {}
    assert set(propose_roles(layers, 48).roles) == {"ffn_input", "ffn_output"}


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("model.layers.3.self_attn.q_proj", 3),
        ("encoder.block.0.layer.1.DenseReluDense.wo", 0),
        ("h.11.mlp.c_fc", 11),
        ("lm_head", None),
        ("classifier.0", None),
    ],
)
def test_the_first_number_in_a_name_is_that_of_the_block(name: str, index: int | None) -> None:
    assert block_index(name) == index


@pytest.mark.parametrize(
    ("name", "modules"),
    [
        ("roformer", ("classifier",)),
        ("xlnet", ("sequence_summary", "logits_proj")),
        ("xlm", ("sequence_summary",)),
        ("codegen", ("lm_head",)),
    ],
)
def test_the_head_is_what_stands_around_the_backbone(name: str, modules: tuple[str, ...]) -> None:
    assert head_modules(unknown_model(name)) == modules
    assert head_modules(unknown_model(name).base_model) == ()
    assert head_modules(nn.Linear(2, 2)) == ()
