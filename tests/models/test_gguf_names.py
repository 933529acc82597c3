"""Names of weights in GGUF, and the order of their rows."""

from __future__ import annotations

import sys

import pytest
import torch

pytest.importorskip("gguf", reason="the extra export is not installed")

from loretta_cli.errors import ConfigError
from loretta_cli.models.gguf_names import (
    GGUF_ARCHITECTURES,
    as_in_gguf,
    gguf_architecture,
    gguf_package,
    in_gguf_order,
    parameter_names,
    tensor_names,
)
from tests.tiny_models import tiny_config

QUERY = "model.layers.0.self_attn.q_proj"
KEY = "model.layers.0.self_attn.k_proj"


def test_llama_and_mistral_are_one_architecture() -> None:
    assert {gguf_architecture(name).name for name in ("llama", "mistral")} == {"llama"}


def test_another_model_type_is_refused_with_those_that_are_made() -> None:
    with pytest.raises(ConfigError, match="type gpt2") as caught:
        gguf_architecture("gpt2")

    assert all(name in caught.value.hint for name in GGUF_ARCHITECTURES)


def test_layers_have_the_names_of_llama_cpp() -> None:
    modules = [QUERY, "lm_head", "model.layers.1.mlp.down_proj"]

    names = tensor_names(tiny_config("qwen2", tie_word_embeddings=False), modules)

    assert list(names.values()) == ["blk.0.attn_q.weight", "output.weight", "blk.1.ffn_down.weight"]
    assert list(names) == modules


@pytest.mark.parametrize("module", ["lm_head", "model.layers.7.self_attn.q_proj", "somewhere.else"])
def test_a_module_without_a_weight_of_its_own_is_refused(module: str) -> None:
    config = tiny_config("llama", tie_word_embeddings=True)

    with pytest.raises(ConfigError, match=module):
        tensor_names(config, [QUERY, module])


def test_queries_and_keys_of_llama_have_the_halves_of_a_head_in_turn() -> None:
    config = tiny_config("llama", num_attention_heads=2, num_key_value_heads=1, hidden_size=8)
    rows = torch.arange(8)[:, None]

    assert in_gguf_order(rows, QUERY, config)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    assert in_gguf_order(rows, KEY, config)[:, 0].tolist() == [0, 4, 1, 5, 2, 6, 3, 7]
    assert in_gguf_order(rows, "model.layers.0.self_attn.v_proj", config) is rows


def test_rows_of_other_architectures_stay() -> None:
    rows = torch.arange(48)[:, None]

    assert in_gguf_order(rows, QUERY, tiny_config("qwen2")) is rows


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)

    with pytest.raises(ConfigError) as caught:
        gguf_package()

    assert caught.value.hint == "pip install 'loretta-cli[export]'"


def test_parameters_have_the_names_of_llama_cpp_and_strangers_none() -> None:
    parameters = ["model.norm.weight", f"{QUERY}.bias", "model.layers.0.extra.weight"]

    assert parameter_names(tiny_config("qwen2"), parameters) == {
        "model.norm.weight": "output_norm.weight",
        f"{QUERY}.bias": "blk.0.attn_q.bias",
        "model.layers.0.extra.weight": None,
    }


def test_biases_of_queries_have_the_order_of_their_rows() -> None:
    config = tiny_config("llama", num_attention_heads=2, num_key_value_heads=1, hidden_size=8)

    assert as_in_gguf(torch.arange(8), f"{QUERY}.bias", config).tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_norms_of_gemma_have_1_added() -> None:
    weight = torch.zeros(4)

    assert as_in_gguf(weight, "model.norm.weight", tiny_config("gemma")).tolist() == [1, 1, 1, 1]
    assert as_in_gguf(weight, "model.norm.weight", tiny_config("llama")).tolist() == [0, 0, 0, 0]
    assert as_in_gguf(weight, "model.layers.0.mlp.up_proj.weight", tiny_config("gemma")) is weight
