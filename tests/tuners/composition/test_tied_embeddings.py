"""Input and output embeddings that are one tensor: adapters on the output, trained copies, and merging."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch

from loretta_cli.tuners.targets import TargetModulesError
from tests.tiny_models import tiny_model
from tests.tuners.adapters import CONFIGS, adapted, copy_of_state, logits, train

both_methods = pytest.mark.parametrize("method", CONFIGS)
# PEFT warns wherever a tied layer is part of an adapter, and writes the base weight along.
tied_is_warned_of = pytest.mark.filterwarnings(
    "ignore:Model has `tie_word_embeddings=True` and a tied layer is part of the adapter:UserWarning",
    "ignore:Setting `save_embedding_layers` to `True`:UserWarning",
)
WAYS = {
    "adapter on the output": {"target_modules": ["q_proj", "lm_head"]},
    "trained input": {"modules_to_save": ["embed_tokens"]},
    "trained output": {"modules_to_save": ["lm_head"]},
    "both trained": {"modules_to_save": ["embed_tokens", "lm_head"]},
}
every_way = pytest.mark.parametrize("way", WAYS)


def tied_base(**changes: Any) -> Any:
    return tiny_model("llama", tie_word_embeddings=True, **changes)


def tied(method: str, **settings: Any) -> Any:
    return adapted("llama", method, "standard", model=tied_base(), **settings)


def weights_are_shared(model: Any) -> bool:
    same: bool = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    return same


@both_methods
def test_an_adapter_elsewhere_leaves_the_tie(method: str) -> None:
    model = tied(method)
    train(model, "llama")
    assert weights_are_shared(model.get_base_model())


@both_methods
@every_way
def test_peft_warns_of_an_adapter_with_a_tied_layer(method: str, way: str) -> None:
    with pytest.warns(UserWarning, match="a tied layer is part of the adapter"):
        tied(method, **WAYS[way])


@tied_is_warned_of
@both_methods
@every_way
def test_an_adapter_with_a_tied_layer_starts_as_the_base_trains_and_reloads(
    method: str, way: str, tmp_path: Path
) -> None:
    model = tied(method, **WAYS[way])
    assert torch.equal(logits(model), logits(tied_base()))
    base = copy_of_state(tied_base())["lm_head.weight"]
    assert train(model, "llama") == {name for name, value in model.named_parameters() if value.requires_grad}
    model.save_pretrained(tmp_path)
    loaded = peft.PeftModel.from_pretrained(tied_base(), tmp_path, adapter_name="other").eval()
    assert torch.equal(logits(loaded), logits(model))
    with model.disable_adapter():
        assert torch.equal(logits(model), logits(tied_base()))
    assert torch.equal(tied_base().model.embed_tokens.weight, base)


@tied_is_warned_of
@every_way
def test_rep_merges_into_untied_weights_and_the_saved_model_is_the_same(way: str, tmp_path: Path) -> None:
    model = tied("rep", **WAYS[way])
    train(model, "llama")
    expected = logits(model)
    with pytest.warns(UserWarning, match="no longer tied after merging"):
        merged = model.merge_and_unload()
    assert not merged.config.tie_word_embeddings
    assert not weights_are_shared(merged)
    torch.testing.assert_close(logits(merged), expected, rtol=0, atol=2e-5)
    if way == "adapter on the output":
        assert torch.equal(merged.model.embed_tokens.weight, tied_base().model.embed_tokens.weight)
    merged.save_pretrained(tmp_path)
    assert torch.equal(logits(type(merged).from_pretrained(tmp_path).eval()), logits(merged))


@tied_is_warned_of
def test_a_merge_that_is_undone_ties_the_weights_again() -> None:
    model = tied("rep", **WAYS["adapter on the output"])
    train(model, "llama")
    expected, before = logits(model), copy_of_state(model)
    model.merge_adapter()
    torch.testing.assert_close(logits(model), expected, rtol=0, atol=2e-5)
    model.unmerge_adapter()
    layer = model.get_base_model().lm_head.get_base_layer()
    assert layer.weight is model.get_base_model().model.embed_tokens.weight
    assert torch.equal(layer.weight, before["base_model.model.model.embed_tokens.weight"])
    torch.testing.assert_close(logits(model), expected, rtol=0, atol=2e-5)


@both_methods
def test_an_adapter_on_the_input_embeddings_is_refused(method: str) -> None:
    with (
        pytest.warns(UserWarning, match="a tied layer is part of the adapter"),
        pytest.raises(TargetModulesError, match="embed_tokens is a Embedding; tensor trains adapt linear"),
    ):
        tied(method, target_modules=["embed_tokens"])


@both_methods
def test_all_linear_leaves_the_tied_output_out(method: str) -> None:
    model = tied(method, target_modules="all-linear")
    assert weights_are_shared(model.get_base_model())
