"""Replacing an adapter's numbers in place: PEFT refuses our types in words, and our own function does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft.utils.hotswap import hotswap_adapter

from loretta_cli.tuners import swap_adapter
from loretta_cli.tuners.refusals import UnsupportedFeatureError
from tests.tiny_models import tiny_model
from tests.tuners.adapters import CONFIGS, adapted, config_for, copy_of_state, logits, train

both_methods = pytest.mark.parametrize("method", CONFIGS)


def saved(folder: Path, family: str, method: str, preset: str = "paper", **settings: Any) -> torch.Tensor:
    """Train and save an adapter.

    Returns:
        The logits it gives on the tiny model.
    """
    model = adapted(family, method, preset, **settings)
    train(model, family, seed=100)
    model.save_pretrained(folder)
    return logits(model)


@both_methods
def test_pefts_own_hotswap_refuses_the_type_in_words(method: str, tmp_path: Path) -> None:
    saved(tmp_path, "llama", method)
    model = adapted("llama", method, "paper")
    before = copy_of_state(model)
    with pytest.raises(ValueError, match=f"Hotswapping only supports LORA but LORETTA_{method.upper()}"):
        hotswap_adapter(model, str(tmp_path), "default", torch_device="cpu")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@both_methods
def test_transformers_own_hotswap_refuses_the_type_in_words(method: str, tmp_path: Path) -> None:
    saved(tmp_path, "llama", method)
    model = tiny_model("llama")
    model.add_adapter(config_for("llama", method, "paper"))
    with pytest.raises(ValueError, match="Hotswapping is currently only supported for LoRA"):
        model.load_adapter(str(tmp_path), adapter_name="default", hotswap=True)


@pytest.mark.parametrize("family", ["bert", "deberta", "llama"])
@both_methods
def test_a_swapped_adapter_computes_what_the_saved_one_does(family: str, method: str, tmp_path: Path) -> None:
    expected = saved(tmp_path, family, method)
    model = adapted(family, method, "paper")
    model.add_adapter("second", config_for(family, method, "paper", init_weights=False))
    model.set_adapter("second")
    second = logits(model)
    model.set_adapter("default")
    train(model, family)
    assert not torch.equal(logits(model), expected)
    parameters = dict(model.named_parameters())
    swap_adapter(model, tmp_path)
    assert torch.equal(logits(model), expected)
    assert all(value is parameters[name] for name, value in model.named_parameters())
    model.set_adapter("second")
    assert torch.equal(logits(model), second)


def test_initial_trains_of_noise_reduction_are_swapped_too(tmp_path: Path) -> None:
    expected = saved(tmp_path, "llama", "rep", init_weights="noise-reduction")
    model = adapted("llama", "rep", "paper", init_weights="noise-reduction")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.0 if not parameter.requires_grad else 1.5)
    swap_adapter(model, tmp_path)
    assert torch.equal(logits(model), expected)


@both_methods
def test_another_alpha_is_taken_over_and_saved(method: str, tmp_path: Path) -> None:
    expected = saved(tmp_path / "other", "llama", method, alpha=37.0)
    model = adapted("llama", method, "paper")
    swap_adapter(model, tmp_path / "other")
    assert torch.equal(logits(model), expected)
    model.save_pretrained(tmp_path / "again")
    other = adapted("llama", method, "paper")
    swap_adapter(other, tmp_path / "again")
    assert torch.equal(logits(other), expected)


@both_methods
@pytest.mark.parametrize(
    "settings",
    [{"tt_rank": 3}, {"preset": "lean"}, {"dropout": 0.25}, {"layers_to_transform": [0]}],
    ids=lambda settings: next(iter(settings)),
)
def test_an_adapter_that_does_not_fit_is_refused_and_nothing_changes(
    method: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    saved(tmp_path, "llama", method, **{"preset": "paper", **settings})
    model = adapted("llama", method, "paper")
    before = copy_of_state(model)
    with pytest.raises(UnsupportedFeatureError, match=r"cannot replace 'default'.*model\.load_adapter"):
        swap_adapter(model, tmp_path)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@both_methods
def test_an_adapter_of_the_other_type_is_refused(method: str, tmp_path: Path) -> None:
    (other,) = set(CONFIGS) - {method}
    saved(tmp_path, "llama", other)
    with pytest.raises(UnsupportedFeatureError, match=f"expected .*LORETTA_{method.upper()}"):
        swap_adapter(adapted("llama", method, "paper"), tmp_path)


def test_a_merged_adapter_is_not_swapped(tmp_path: Path) -> None:
    saved(tmp_path, "llama", "rep")
    model = adapted("llama", "rep", "paper")
    model.merge_adapter()
    with pytest.raises(UnsupportedFeatureError, match=r"is merged into the base.*unmerge_adapter"):
        swap_adapter(model, tmp_path)


@both_methods
def test_an_unknown_adapter_name_is_refused_with_the_known_ones(method: str, tmp_path: Path) -> None:
    saved(tmp_path, "llama", method)
    with pytest.raises(UnsupportedFeatureError, match=r"no adapter named 'defualt'.*default"):
        swap_adapter(adapted("llama", method, "paper"), tmp_path, "defualt")
