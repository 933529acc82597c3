"""Merging rep: the same outputs, the base restored, and a model that needs nothing of this project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from peft.utils import ModulesToSaveWrapper
from torch import nn

from loretta_cli.tuners.rep import RepLayer
from tests.tiny_models import FAMILIES, OTHERS, TwoLayerNet, model_class, tiny_model
from tests.tuners.adapters import CONFIGS, PRESETS, adapted, config_for, copy_of_state, logits, train

every_case = pytest.mark.parametrize(
    ("family", "preset"),
    [
        *((family, preset) for family in FAMILIES for preset in PRESETS),
        *((family, "standard") for family in OTHERS),
        ("distilbert", "paper"),  # the dense layer of its head is a saved module itself
    ],
)


def trained(family: str, preset: str = "auto", **settings: Any) -> Any:
    model = adapted(family, "rep", preset, **settings)
    train(model, family)
    return model


@every_case
def test_a_merged_model_gives_the_same_logits_and_unmerging_restores_the_weights(
    family: str, preset: str
) -> None:
    model = trained(family, preset)
    expected, before = logits(model), copy_of_state(model)
    model.merge_adapter()
    assert all(module.merged for module in model.modules() if isinstance(module, RepLayer))
    torch.testing.assert_close(logits(model), expected, rtol=0, atol=1e-5)
    assert not torch.equal(_base_weight(model), before[_base_weight_name(model)])
    model.unmerge_adapter()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=1e-6)
    torch.testing.assert_close(logits(model), expected, rtol=0, atol=1e-5)


def _base_weight_name(model: Any) -> str:
    names: list[str] = list(model.state_dict())
    return next(name for name in names if name.endswith("base_layer.weight"))


def _base_weight(model: Any) -> torch.Tensor:
    weight: torch.Tensor = model.state_dict()[_base_weight_name(model)]
    return weight


@every_case
def test_merge_and_unload_gives_a_plain_model_that_reloads(family: str, preset: str, tmp_path: Path) -> None:
    base = tiny_model(family)
    keys = list(base.state_dict())
    model = trained(family, preset)
    expected = logits(model)
    merged = model.merge_and_unload()
    assert type(merged) is model_class(family)
    assert list(merged.state_dict()) == keys
    assert [name for name, _ in merged.named_buffers()] == [name for name, _ in base.named_buffers()]
    foreign = [
        name
        for name, module in merged.named_modules()
        if type(module).__module__.startswith(("loretta_cli", "peft"))
        or isinstance(module, ModulesToSaveWrapper)
    ]
    assert foreign == []
    torch.testing.assert_close(logits(merged), expected, rtol=0, atol=1e-5)
    merged.save_pretrained(tmp_path)
    reloaded = model_class(family).from_pretrained(tmp_path).eval()
    assert torch.equal(logits(reloaded), logits(merged))


def test_a_tt_head_becomes_an_ordinary_linear_layer_when_merged() -> None:
    merged = trained("deberta", "paper").merge_and_unload()
    assert type(merged.pooler.dense) is nn.Linear
    assert type(merged.classifier) is nn.Linear
    assert isinstance(merged.classifier.weight, nn.Parameter)


def test_a_model_of_half_precision_is_merged_in_its_own_dtype() -> None:
    base = tiny_model("roberta", dtype=torch.bfloat16)
    model = adapted("roberta", "rep", "paper", model=base)
    train(model, "roberta")
    expected = logits(model)
    merged = model.merge_and_unload()
    assert {value.dtype for value in merged.state_dict().values()} == {torch.bfloat16}
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in merged.modules())
    torch.testing.assert_close(logits(merged), expected, rtol=0.05, atol=0.1)


def test_a_half_precision_merge_sums_in_fp32_and_casts_once() -> None:
    model = adapted(
        "bert", "rep", "standard", model=tiny_model("bert", dtype=torch.bfloat16), init_weights=False
    )
    layer = next(module for module in model.modules() if isinstance(module, RepLayer))
    before, delta = layer.get_base_layer().weight.detach().clone(), layer.get_delta_weight("default").detach()
    assert delta.dtype == torch.float32
    layer.merge()
    assert torch.equal(layer.get_base_layer().weight, (before.float() + delta).to(torch.bfloat16))


def test_several_adapters_are_merged_and_taken_out_together() -> None:
    model = trained("llama", "standard")
    model.add_adapter("second", config_for("llama", "rep", "standard", init_weights=False))
    before = copy_of_state(model)
    layer = next(module for module in model.modules() if isinstance(module, RepLayer))
    weight = layer.get_base_layer().weight.detach().clone()
    model.merge_adapter(["default", "second"])
    expected = weight + layer.get_delta_weight("default") + layer.get_delta_weight("second")
    torch.testing.assert_close(layer.get_base_layer().weight.detach(), expected.detach(), rtol=0, atol=1e-6)
    model.unmerge_adapter()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=1e-6)


def test_disabling_a_merged_adapter_takes_it_out() -> None:
    expected = logits(tiny_model("bert"))
    model = trained("bert", "standard")
    model.merge_adapter()
    with model.disable_adapter():
        torch.testing.assert_close(logits(model), expected, rtol=0, atol=1e-5)


def test_a_safe_merge_refuses_numbers_that_are_not_finite_and_leaves_the_weight() -> None:
    model = adapted("bert", "rep", "standard")
    layer = next(module for module in model.modules() if isinstance(module, RepLayer))
    with torch.no_grad():
        layer.loretta_rep_B["default"].core0.fill_(float("nan"))
    before = layer.get_base_layer().weight.detach().clone()
    with pytest.raises(ValueError, match="NaNs detected"):
        layer.merge(safe_merge=True)
    assert torch.equal(layer.get_base_layer().weight, before)
    assert not layer.merged


def test_conv1d_layers_of_gpt2_are_adapted_and_merged() -> None:
    base = tiny_model("gpt2")
    expected_at_start = logits(base)
    model = adapted("gpt2", "rep", model=base, target_modules=["c_attn", "mlp.c_fc"])
    assert torch.equal(logits(model), expected_at_start)
    train(model, "gpt2")
    expected = logits(model)
    assert not torch.equal(expected, expected_at_start)
    merged = model.merge_and_unload()
    torch.testing.assert_close(logits(merged), expected, rtol=0, atol=1e-5)
    assert list(merged.state_dict()) == list(tiny_model("gpt2").state_dict())


def test_a_plain_module_is_adapted_and_merged() -> None:
    base, inputs = TwoLayerNet(), torch.randn(4, 20)
    start = base(inputs)
    model = peft.get_peft_model(base, CONFIGS["rep"](target_modules=["wide", "narrow"]))
    assert torch.equal(model(inputs), start)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.3)
    expected = model(inputs)
    assert not torch.allclose(expected, start)
    torch.testing.assert_close(model.merge_and_unload()(inputs), expected, rtol=1e-5, atol=1e-4)
