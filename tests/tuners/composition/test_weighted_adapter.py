"""Sums of adapters: refused in words, and done through the LoRA that a rep adapter is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from peft import get_peft_model, set_peft_model_state_dict
from peft.tuners.lora import convert_to_lora
from torch import nn

from loretta_cli.tuners import LorettaRepConfig, lora_form
from loretta_cli.tuners.refusals import UnsupportedFeatureError
from tests.tiny_models import TASK_TYPES, same_base_other_head, tiny_model
from tests.tuners.adapters import CONFIGS, adapted, config_for, copy_of_state, logits, train

PAPER_FAMILIES = ("bert", "roberta", "deberta", "llama", "llama-classifier")


def trained(family: str, preset: str = "paper", seed: int = 0, **settings: Any) -> Any:
    model = adapted(family, "rep", preset, **settings)
    train(model, family, seed=seed)
    return model


def with_lora(base: Any, name: str, form: tuple[peft.LoraConfig, dict[str, torch.Tensor]]) -> Any:
    """Put a LoRA into a model, new or with adapters."""
    config, tensors = form
    if isinstance(base, peft.PeftModel):
        base.add_adapter(name, config)
        model = base
    else:
        model = peft.get_peft_model(base, config, adapter_name=name)
    result: Any = peft.set_peft_model_state_dict(model, tensors, name)
    assert not result.unexpected_keys
    assert not [key for key in result.missing_keys if f".{name}." in key]
    return model.eval()


@pytest.mark.parametrize(("method", "way_around"), [("rep", "lora_form"), ("adp", "set_adapter")])
def test_adding_adapters_is_refused_with_the_way_around(method: str, way_around: str) -> None:
    model = adapted("llama", method)
    model.add_adapter("second", config_for("llama", method))
    for owner in (model, model.base_model):
        with pytest.raises(UnsupportedFeatureError, match=way_around):
            owner.add_weighted_adapter(["default", "second"], [0.5, 0.5], "sum")
    assert set(model.peft_config) == {"default", "second"}


def test_the_way_around_gives_the_weighted_sum_of_two_rep_adapters() -> None:
    models = [trained("llama", "lean", seed=seed) for seed in (0, 100)]
    weights = [0.7, -1.3]
    plain = tiny_model("llama")
    with torch.no_grad():
        for model, weight in zip(models, weights, strict=True):
            for name, module in model.get_base_model().named_modules():
                if hasattr(module, "loretta_rep_A"):
                    plain.get_submodule(name).weight.add_(weight * module.get_delta_weight("default"))
    lora = tiny_model("llama")
    for name, model in zip(("first", "second"), models, strict=True):
        lora = with_lora(lora, name, lora_form(model))
    lora.add_weighted_adapter(["first", "second"], weights, "mix", combination_type="cat")
    lora.set_adapter("mix")
    torch.testing.assert_close(logits(lora), logits(plain), rtol=0, atol=2e-5)


@pytest.mark.parametrize("family", PAPER_FAMILIES)
@pytest.mark.parametrize("preset", ["paper", "standard"])
def test_the_lora_form_computes_the_same_with_heads_and_norms(family: str, preset: str) -> None:
    state = copy_of_state(tiny_model(family))
    model = trained(family, preset)
    config, tensors = lora_form(model)
    assert config.peft_type == "LORA"
    assert config.task_type == TASK_TYPES[family]
    lora = with_lora(same_base_other_head(family, state), "default", (config, tensors))
    torch.testing.assert_close(logits(lora), logits(model), rtol=0, atol=2e-5)


@pytest.mark.parametrize("settings", [{"init_weights": "noise-reduction"}, {"tt_rank": 3, "r": 7}])
def test_the_lora_form_has_the_lowest_rank_of_each_layer(settings: dict[str, Any]) -> None:
    model = trained("llama", "standard", **settings)
    config, _ = lora_form(model)
    lora = with_lora(tiny_model("llama"), "default", lora_form(model))
    assert config.r == config.lora_alpha == (10 if "init_weights" in settings else 3)
    torch.testing.assert_close(logits(lora), logits(model), rtol=0, atol=2e-5)


class Narrowing(nn.Module):
    """Two layers, of which the second has few outputs."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.wide, self.narrow = nn.Linear(48, 48), nn.Linear(48, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.narrow(torch.tanh(self.wide(inputs)))
        return outputs


@pytest.mark.parametrize(("init", "ranks"), [(False, (5, 3)), ("noise-reduction", (10, 3))])
def test_where_layers_have_different_ranks_the_lora_has_them_too(
    init: bool | str, ranks: tuple[int, int]
) -> None:
    settings = LorettaRepConfig(r=8, tt_rank=5, target_modules=["wide", "narrow"], init_weights=init)
    model = get_peft_model(Narrowing(), settings)
    with torch.no_grad():
        for value in model.parameters():
            if value.requires_grad:
                value.add_(0.3 * torch.randn_like(value))
    inputs = torch.randn(4, 48)

    config, tensors = lora_form(model)
    lora = get_peft_model(Narrowing(), config)
    loaded = set_peft_model_state_dict(lora, tensors)

    assert (config.r, config.rank_pattern) == (ranks[0], {"narrow": ranks[1]})
    assert config.alpha_pattern == config.rank_pattern, "so that the scale is 1 everywhere"
    assert not loaded.unexpected_keys
    assert (model(inputs) - Narrowing()(inputs)).abs().max() > 0.1
    torch.testing.assert_close(lora.eval()(inputs), model.eval()(inputs), rtol=0, atol=1e-5)


def test_the_lora_form_of_one_of_several_adapters_takes_its_own_head() -> None:
    state = copy_of_state(tiny_model("roberta"))
    model = trained("roberta")
    model.add_adapter("second", config_for("roberta", "rep", "paper", tt_rank=2))
    model.set_adapter("second")
    train(model, "roberta", seed=100)
    for name in ("default", "second"):
        model.set_adapter(name)
        lora = with_lora(same_base_other_head("roberta", state), "one", lora_form(model, name))
        torch.testing.assert_close(logits(lora), logits(model.eval()), rtol=0, atol=2e-5)


def test_the_lora_form_of_layers_that_keep_their_weight_transposed() -> None:
    model = adapted("gpt2", "rep", target_modules=["c_attn", "mlp.c_fc"])
    train(model, "gpt2")
    lora = with_lora(tiny_model("gpt2"), "default", lora_form(model))
    torch.testing.assert_close(logits(lora), logits(model), rtol=0, atol=2e-5)


def test_the_lora_form_works_on_a_model_of_transformers_itself() -> None:
    model = tiny_model("llama")
    model.add_adapter(config_for("llama", "rep", "paper"))
    train(model, "llama")
    lora = with_lora(tiny_model("llama"), "default", lora_form(model))
    torch.testing.assert_close(logits(lora), logits(model), rtol=0, atol=2e-5)


def test_the_lora_form_of_a_half_precision_model_is_in_fp32() -> None:
    base = tiny_model("bert", dtype=torch.bfloat16)
    state = copy_of_state(base)
    model = trained("bert", model=base)
    config, tensors = lora_form(model)
    assert {value.dtype for name, value in tensors.items() if "lora_" in name} == {torch.float32}
    lora = with_lora(same_base_other_head("bert", state), "default", (config, tensors))
    torch.testing.assert_close(logits(lora), logits(model), rtol=0.05, atol=0.1)


def test_what_has_no_lora_form_is_refused_in_words() -> None:
    with pytest.raises(UnsupportedFeatureError, match="no rep adapter named 'default'"):
        lora_form(adapted("llama", "adp"))
    with pytest.raises(UnsupportedFeatureError, match="no rep adapter named 'other'"):
        lora_form(adapted("llama", "rep"), "other")
    with pytest.raises(UnsupportedFeatureError, match="trains biases of the base model"):
        lora_form(adapted("bert", "rep", bias="all"))


@pytest.mark.parametrize(("family", "preset"), [("llama", "lean"), ("llama", "paper"), ("bert", "paper")])
@pytest.mark.parametrize("rank", [8, 1.0])
def test_pefts_own_conversion_gives_the_same_logits(
    family: str, preset: str, rank: float, tmp_path: Path
) -> None:
    state = copy_of_state(tiny_model(family))
    model = trained(family, preset)
    config, tensors = convert_to_lora(model, rank=rank)
    config.task_type = TASK_TYPES[family]
    lora = with_lora(same_base_other_head(family, state), "default", (config, tensors))
    torch.testing.assert_close(logits(lora), logits(model), rtol=0, atol=1e-4)


@pytest.mark.parametrize("family", ["roberta", "deberta"])
def test_pefts_own_conversion_refuses_a_head_that_it_would_lose(family: str) -> None:
    model = trained(family)
    with (
        pytest.warns(UserWarning, match="would lose a part of the norms or head.*lora_form"),
        pytest.raises(TypeError, match="do not support LoRA conversion"),
    ):
        convert_to_lora(model, rank=8)


def test_pefts_own_conversion_refuses_to_mix_the_heads_of_two_adapters() -> None:
    model = trained("bert")
    model.add_adapter("second", config_for("bert", "rep", "paper"))
    with (
        pytest.warns(UserWarning, match="would lose a part of the norms or head"),
        pytest.raises(TypeError, match="do not support LoRA conversion"),
    ):
        convert_to_lora(model, rank=8)
    model.delete_adapter("second")
    assert model.supports_lora_conversion()


@pytest.mark.parametrize("method", CONFIGS)
def test_whether_an_adapter_is_a_lora_is_known(method: str) -> None:
    model = adapted("llama", method)
    assert model.supports_lora_conversion() == (method == "rep")
    if method == "adp":
        with pytest.raises(TypeError, match="do not support LoRA conversion"):
            convert_to_lora(model, rank=8)
