"""The contract of a tuner: family x method x preset. A new method or family passes this file first."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import peft
import pytest
import torch

from tests.tiny_models import FAMILIES, TASK_TYPES, same_base_other_head, tiny_model
from tests.tuners.adapters import (
    CASES,
    adapted,
    config_for,
    copy_of_state,
    hidden_states,
    logits,
    saved_tensors,
    train,
    trainable_count,
)
from tests.tuners.expected import cores, count_by_layers


@cache
def _trained(family: str, method: str, preset: str) -> Any:
    model = adapted(family, method, preset)
    train(model, family)
    return model


def trained(family: str, method: str, preset: str) -> Any:
    """A model with a trained adapter; a copy, because training takes longer."""
    return copy.deepcopy(_trained(family, method, preset))


every_case = pytest.mark.parametrize(("family", "method", "preset"), CASES)


def expected_count(family: str, method: str, preset: str) -> int:
    """Trainable parameters by hand, for hidden size 48, two blocks and three labels."""
    if family not in FAMILIES:
        return count_by_layers(family, method, preset)
    is_llama = family.startswith("llama")
    paper = preset == "paper"
    if method == "adp":
        pair = cores((8, 6, 8, 8), 5) + cores((8, 8, 6, 8), 5)
        biases = 0 if preset == "lean" else 64 + 48
        adapters = (3 if is_llama else 2) * 2 * (pair + biases)
    elif is_llama and paper:
        query = cores((8, 6, 16), 8) + cores((16, 6, 8), 8)
        value = cores((8, 6, 16), 8) + cores((16, 4, 6), 8)
        adapters = 2 * (query + value)
    elif is_llama:
        adapters = 2 * (2 * cores((8, 6, 8), 5) + cores((8, 6, 8), 5) + cores((8, 4, 6), 5))
    elif family == "deberta":
        adapters = 2 * (cores((8, 6, 8), 5) + cores((8, 12, 12), 5))
    else:
        adapters = 2 * 2 * 2 * cores((8, 6, 8), 5)
    norms = ((2 * 2 + 1) * 48 if is_llama else (1 + 2 * 2) * 2 * 48) if paper else 0
    return adapters + norms + expected_head_count(family, method, preset)


def expected_head_count(family: str, method: str, preset: str) -> int:
    """Trainable parameters of the head: its output layer, and for some the dense layer before it."""
    output = {"llama": 0, "llama-classifier": 48 * 3}.get(family, 48 * 3 + 3)
    tensor_train = cores((8, 6, 6, 8), 5) + 48
    if family == "roberta":
        return output + (tensor_train if preset == "paper" else 48 * 48 + 48)
    if family == "deberta" and preset == "paper":
        return tensor_train + (output if method == "adp" else 0)
    return output


@every_case
def test_the_backbone_is_bit_for_bit_the_same_before_training(family: str, method: str, preset: str) -> None:
    expected = hidden_states(tiny_model(family))
    found = hidden_states(adapted(family, method, preset))
    assert len(found) == (6 if family.startswith("t5") else 3)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@every_case
def test_one_step_changes_nothing_but_what_trains(family: str, method: str, preset: str) -> None:
    model = adapted(family, method, preset)
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    before = copy_of_state(model)
    train(model, family, steps=1)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert changed <= trainable


@every_case
def test_every_trainable_parameter_has_a_gradient_within_three_steps(
    family: str, method: str, preset: str
) -> None:
    model = adapted(family, method, preset)
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert train(model, family, steps=3) == trainable


@every_case
def test_the_number_of_trainable_parameters_is_the_closed_form(family: str, method: str, preset: str) -> None:
    assert trainable_count(adapted(family, method, preset)) == expected_count(family, method, preset)


@every_case
def test_an_adapter_loaded_under_another_name_gives_the_same_logits(
    family: str, method: str, preset: str, tmp_path: Path
) -> None:
    state = copy_of_state(tiny_model(family))
    model = trained(family, method, preset)
    model.save_pretrained(tmp_path)
    base = same_base_other_head(family, state)
    loaded = peft.PeftModel.from_pretrained(base, tmp_path, adapter_name="other").eval()
    assert torch.equal(logits(loaded), logits(model))
    assert trainable_count(loaded) == 0


@every_case
def test_everything_that_differs_from_the_base_is_in_the_saved_file(
    family: str, method: str, preset: str, tmp_path: Path
) -> None:
    base = copy_of_state(tiny_model(family))
    model = trained(family, method, preset)
    model.save_pretrained(tmp_path)
    saved = saved_tensors(tmp_path)
    missing = []
    for name, value in model.state_dict().items():
        base_name = (
            name.removeprefix("base_model.model.").replace(".base_layer", "").replace(".original_module", "")
        )
        if base_name in base and torch.equal(value, base[base_name]):
            continue
        file_name = name.replace(".modules_to_save.default", "").replace(".default", "")
        if file_name not in saved or not torch.equal(saved[file_name], value):
            missing.append(name)
    assert missing == []
    assert not any("default" in name for name in saved)
    of_the_adapter = [name for name in model.state_dict() if ".default." in name]
    assert len(saved) == len(of_the_adapter)


@every_case
def test_a_disabled_adapter_leaves_the_base_model(family: str, method: str, preset: str) -> None:
    expected = logits(tiny_model(family))
    model = trained(family, method, preset)
    after = logits(model)
    assert not torch.equal(after, expected)
    with model.disable_adapter():
        assert torch.equal(logits(model), expected)
    assert torch.equal(logits(model), after)


@every_case
def test_two_adapters_in_one_model_do_not_touch_each_other(
    family: str, method: str, preset: str, tmp_path: Path
) -> None:
    model = trained(family, method, preset)
    first = logits(model)
    model.add_adapter("second", config_for(family, method, preset))
    model.set_adapter("second")
    assert trainable_count(model) == expected_count(family, method, preset)
    train(model, family, seed=100)
    second = logits(model)
    assert not torch.equal(first, second)
    model.set_adapter("default")
    assert torch.equal(logits(model), first)
    model.set_adapter("second")
    assert torch.equal(logits(model), second)


@every_case
def test_deleting_an_adapter_leaves_the_other_and_no_trace(family: str, method: str, preset: str) -> None:
    model = trained(family, method, preset)
    expected = logits(model)
    model.add_adapter("second", config_for(family, method, preset))
    assert any("second" in name for name in model.state_dict())
    model.delete_adapter("second")
    assert not any("second" in name for name in model.state_dict())
    assert torch.equal(logits(model), expected)
    assert trainable_count(model) == expected_count(family, method, preset)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", ["adp", "rep"])
def test_two_adapters_are_saved_and_loaded_apart(family: str, method: str, tmp_path: Path) -> None:
    state = copy_of_state(tiny_model(family))
    model = trained(family, method, "paper")
    model.add_adapter("second", config_for(family, method, "paper", tt_rank=2))
    model.set_adapter("second")
    train(model, family, seed=100)
    model.save_pretrained(tmp_path)
    loaded = peft.PeftModel.from_pretrained(same_base_other_head(family, state), tmp_path, adapter_name="one")
    loaded.load_adapter(tmp_path / "second", adapter_name="two")
    for here, there in (("two", "second"), ("one", "default")):
        loaded.set_adapter(here)
        model.set_adapter(there)
        assert torch.equal(logits(loaded.eval()), logits(model.eval()))


@every_case
def test_a_half_precision_base_keeps_its_dtype_and_the_adapter_stays_in_fp32(
    family: str, method: str, preset: str
) -> None:
    expected = hidden_states(tiny_model(family, dtype=torch.bfloat16))
    model = adapted(family, method, preset, model=tiny_model(family, dtype=torch.bfloat16))
    found = hidden_states(model)
    assert {state.dtype for state in found} == {torch.bfloat16}
    # A norm held in fp32 may round its last bit differently; nothing else may differ.
    tolerance = 0.05 if preset == "paper" else 0.0
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)
    dtypes = {(parameter.requires_grad, parameter.dtype) for parameter in model.parameters()}
    assert dtypes == {(True, torch.float32), (False, torch.bfloat16)}
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert train(model, family, steps=3) == trainable
    assert torch.isfinite(logits(model)).all()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", ["adp", "rep"])
def test_a_half_precision_model_saves_and_loads_bit_for_bit(family: str, method: str, tmp_path: Path) -> None:
    base = tiny_model(family, dtype=torch.bfloat16)
    state = copy_of_state(base)
    model = adapted(family, method, "paper", model=base)
    train(model, family)
    model.save_pretrained(tmp_path)
    assert {value.dtype for value in saved_tensors(tmp_path).values()} == {torch.float32}
    loaded = peft.PeftModel.from_pretrained(
        same_base_other_head(family, state), tmp_path, adapter_name="other"
    )
    assert torch.equal(logits(loaded.eval()), logits(model))


@every_case
def test_dropout_acts_in_training_only(family: str, method: str, preset: str) -> None:
    base = tiny_model(family, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = adapted(family, method, preset, model=base, dropout=0.5, init_weights=False)
    assert torch.equal(logits(model), logits(model))
    model.train()
    assert not torch.equal(logits(model), logits(model))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", ["adp", "rep"])
def test_the_saved_config_says_what_the_adapter_is(family: str, method: str, tmp_path: Path) -> None:
    adapted(family, method, "paper").save_pretrained(tmp_path)
    config = peft.PeftConfig.from_pretrained(tmp_path)
    assert config.preset == "paper"
    assert config.task_type == TASK_TYPES[family]
    settled = ("tt_rank", "alpha", "dropout", "train_norms", "target_modules")
    assert [name for name in settled if getattr(config, name) is None] == []
