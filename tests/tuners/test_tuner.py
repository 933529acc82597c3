"""PEFT's hooks as the tuners override them, where the contract does not reach."""

from __future__ import annotations

from pathlib import Path

import peft
import pytest
import torch

from tests.tiny_models import same_base_other_head, tiny_model
from tests.tuners.adapters import CASES, CONFIGS, adapted, config_for, copy_of_state, logits, train


@pytest.mark.parametrize(("family", "method", "preset"), [case for case in CASES if case[2] == "paper"])
def test_loading_without_extra_memory_gives_the_same_logits(
    family: str, method: str, preset: str, tmp_path: Path
) -> None:
    state = copy_of_state(tiny_model(family))
    model = adapted(family, method, preset)
    train(model, family)
    model.save_pretrained(tmp_path)
    base = same_base_other_head(family, state)
    loaded = peft.PeftModel.from_pretrained(base, tmp_path, adapter_name="other", low_cpu_mem_usage=True)
    assert torch.equal(logits(loaded.eval()), logits(model))
    assert not any(value.is_meta for value in loaded.state_dict().values())


@pytest.mark.parametrize("method", CONFIGS)
def test_deleting_the_active_adapter_makes_the_other_one_active(method: str) -> None:
    model = adapted("deberta", method, "paper")
    model.add_adapter("second", config_for("deberta", method, "paper", init_weights=False))
    model.set_adapter("second")
    expected = logits(model)
    model.set_adapter("default")
    with pytest.warns(UserWarning, match="Setting active adapter to second"):
        model.delete_adapter("default")
    assert torch.equal(logits(model), expected)


@pytest.mark.parametrize("method", CONFIGS)
def test_an_adapter_added_beside_the_active_one_does_not_train(method: str) -> None:
    model = adapted("roberta", method, "paper")
    before = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    model.add_adapter("second", config_for("roberta", method, "paper"))
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == before


@pytest.mark.parametrize("method", CONFIGS)
def test_biases_of_the_base_that_train_are_saved(method: str, tmp_path: Path) -> None:
    state = copy_of_state(tiny_model("bert"))
    model = adapted("bert", method, "standard", bias="all")
    train(model, "bert")
    model.save_pretrained(tmp_path)
    loaded = peft.PeftModel.from_pretrained(
        same_base_other_head("bert", state), tmp_path, adapter_name="other"
    )
    assert torch.equal(logits(loaded.eval()), logits(model))


@pytest.mark.parametrize("method", CONFIGS)
def test_half_precision_can_be_asked_for_the_adapter_too(method: str) -> None:
    base = tiny_model("bert", dtype=torch.bfloat16)
    config = config_for("bert", method, "paper")
    model = peft.get_peft_model(base, config, autocast_adapter_dtype=False)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert train(model, "bert") == {
        name for name, parameter in model.named_parameters() if parameter.requires_grad
    }
