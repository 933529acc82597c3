"""adp in whole models: placements, other targets, and the refusal to merge."""

from __future__ import annotations

from typing import Any

import peft
import pytest
import torch

from loretta_cli.tuners.adp import AdpLayer
from tests.tiny_models import FAMILIES, TwoLayerNet, tiny_model
from tests.tuners.adapters import CONFIGS, PRESETS, adapted, copy_of_state, logits, train

IN_BLOCK = {
    ("bert", "sublayer"): {"attention.output.dense": False, "output.dense": False},
    ("roberta", "mlp"): {"intermediate.dense": True, "output.dense": False},
    ("deberta", "mlp"): {"intermediate.dense": True, "output.dense": False},
    ("llama", "mlp"): {"mlp.gate_proj": True, "mlp.up_proj": True, "mlp.down_proj": False},
    ("llama", "sublayer"): {"self_attn.o_proj": False, "mlp.down_proj": False},
}
"""Per block: name of the adapted layer, and whether its input is adapted."""


def sites(model: Any) -> dict[str, bool]:
    """Names below the block of the adapted layers of the first block."""
    return {
        name.partition("layers.0.")[2] or name.partition("layer.0.")[2]: module.on_input["default"]
        for name, module in model.named_modules()
        if isinstance(module, AdpLayer) and (".0." in name)
    }


@pytest.mark.parametrize(("family", "placement"), IN_BLOCK)
def test_adapters_stand_where_the_placement_says(family: str, placement: str) -> None:
    model = adapted(family, "adp", "standard", placement=placement)
    assert sites(model) == IN_BLOCK[family, placement]
    expected = logits(tiny_model(family))
    assert torch.equal(logits(model), expected)
    train(model, family)
    assert not torch.equal(logits(model), expected)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("verb", ["merge_adapter", "merge_and_unload"])
def test_merging_is_refused_with_the_reason_and_changes_nothing(family: str, preset: str, verb: str) -> None:
    model = adapted(family, "adp", preset)
    train(model, family, steps=1)
    before, expected = copy_of_state(model), logits(model)
    with pytest.raises(ValueError, match="cannot be merged: it has a nonlinearity"):
        getattr(model, verb)()
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert torch.equal(logits(model), expected)


def test_conv1d_layers_of_gpt2_are_adapted() -> None:
    model = adapted("gpt2", "adp", target_modules=["c_proj"])
    expected = logits(tiny_model("gpt2"))
    assert torch.equal(logits(model), expected)
    train(model, "gpt2")
    assert not torch.equal(logits(model), expected)
    with model.disable_adapter():
        assert torch.equal(logits(model), expected)


def test_layers_of_a_plain_module_are_adapted() -> None:
    base, inputs = TwoLayerNet(), torch.randn(4, 20)
    start = base(inputs)
    model = peft.get_peft_model(base, CONFIGS["adp"](target_modules=["wide"]))
    assert torch.equal(model(inputs), start)
    assert [name for name, module in model.named_modules() if isinstance(module, AdpLayer)] == [
        "base_model.model.wide"
    ]


def test_unloading_gives_the_base_back() -> None:
    model = adapted("llama", "adp", "standard")
    train(model, "llama")
    plain = model.unload()
    assert torch.equal(logits(plain), logits(tiny_model("llama")))
    assert not any("loretta" in name for name, _ in plain.named_modules())
