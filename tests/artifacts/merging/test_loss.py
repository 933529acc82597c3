"""The sum of weight and update, and the share of the update that its cast loses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from loretta_cli.artifacts.merging.loss import LostShare, add
from loretta_cli.artifacts.merging.updates import Update, updates_of
from tests.tiny_models import tiny_model


def an_update(scale: float) -> Update:
    """Of a LoRA whose product is of this scale."""
    config = LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False)
    model: Any = get_peft_model(tiny_model("llama"), config)
    update = next(iter(updates_of(model.get_base_model()).values()))
    with torch.no_grad():
        update.module.lora_B["default"].weight.mul_(scale)
    return update


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_lost_share_is_the_rounding_of_the_sum_over_the_update(dtype: torch.dtype) -> None:
    update, lost = an_update(0.01), LostShare()
    base = update.module.get_base_layer().weight.detach()
    change = update.of(base)

    result = add(base, update, dtype, lost)

    total = base.double() + change.double()
    expected = float((result.double() - total).norm() / change.double().norm())
    assert result.dtype == dtype
    assert torch.equal(result, (base + change).to(dtype))
    assert lost.layers == {update.layer: pytest.approx(expected, rel=1e-3)}
    assert expected > 0


def test_a_half_precision_weight_is_summed_in_fp32_and_cast_once() -> None:
    update, lost = an_update(1.0), LostShare()
    base = update.module.get_base_layer().weight.detach().bfloat16()

    result = add(base, update, torch.bfloat16, lost)

    assert torch.equal(result, (base.float() + update.of(base)).bfloat16())
    assert update.of(base).dtype == torch.float32


def test_nothing_is_said_where_nothing_is_rounded_or_nothing_changes() -> None:
    update, lost = an_update(1.0), LostShare()
    base = update.module.get_base_layer().weight.detach()

    add(base, update, torch.float32, lost)
    add(base, an_update(0.0), torch.bfloat16, lost)

    assert lost.layers == {}
    assert lost.as_json() is None
    assert lost.in_words() == ""


def test_mean_and_worst_layer_are_told() -> None:
    lost = LostShare({"first": 0.02, "second": 0.06})

    assert lost.as_json() == {"mean": pytest.approx(0.04), "worst": 0.06, "worst_layer": "second"}
    assert lost.in_words() == "4.0% on average, 6.0% in second"
