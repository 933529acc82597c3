"""Classification heads: the tensor-train head, the dense one, the frozen one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from torch import nn

from loretta_cli.errors import ConfigError
from loretta_cli.tt import TensorTrainLinear
from loretta_cli.tuners import LorettaRepConfig, lora_form
from loretta_cli.tuners.head import install_tt_head, make_heads_dense
from tests.tiny_models import HEAD_PREFIXES, same_base_other_head, tiny_model
from tests.tuners.adapters import adapted, copy_of_state, logits, saved_tensors, train

CLASSIFIERS = ("bert", "roberta", "deberta", "distilbert", "modernbert", "llama-classifier")
OUTPUTS = {"roberta": "classifier.out_proj", "deberta": "classifier", "distilbert": "classifier"}
"""Output layers behind a dense one; in DistilBERT the two are modules side by side."""


def trainable_head(model: Any) -> set[str]:
    """Names, below the base model, of the trainable parameters outside the adapters."""
    return {
        name.removeprefix("base_model.model.").replace(".modules_to_save.default", "")
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and "loretta_" not in name
    }


@pytest.mark.parametrize("family", CLASSIFIERS)
@pytest.mark.parametrize("method", ["adp", "rep"])
def test_a_frozen_head_is_saved_and_does_not_train(family: str, method: str, tmp_path: Path) -> None:
    state = copy_of_state(tiny_model(family))
    model = adapted(family, method, "standard", head="frozen")
    assert trainable_head(model) == set()
    train(model, family)
    model.save_pretrained(tmp_path)
    heads = {name for name in saved_tensors(tmp_path) if "loretta_" not in name}
    assert {name.removeprefix("base_model.model.") for name in heads} == {
        name for name in state if name.split(".")[0] in HEAD_PREFIXES[family]
    }
    loaded = peft.PeftModel.from_pretrained(
        same_base_other_head(family, state), tmp_path, adapter_name="other"
    )
    assert torch.equal(logits(loaded.eval()), logits(model))


@pytest.mark.parametrize("family", OUTPUTS)
@pytest.mark.parametrize("method", ["adp", "rep"])
@pytest.mark.parametrize("train_output", [True, False])
def test_the_output_layer_behind_a_tensor_train_trains_as_asked(
    family: str, method: str, train_output: bool, tmp_path: Path
) -> None:
    state = copy_of_state(tiny_model(family))
    model = adapted(family, method, "standard", head="tt", train_output=train_output)
    output = {f"{OUTPUTS[family]}.weight", f"{OUTPUTS[family]}.bias"}
    trainable = trainable_head(model)
    assert (trainable & output == output) if train_output else not trainable & output
    assert len(trainable - output) == 5
    train(model, family)
    model.save_pretrained(tmp_path)
    assert {f"base_model.model.{name}" for name in output} <= set(saved_tensors(tmp_path))
    loaded = peft.PeftModel.from_pretrained(
        same_base_other_head(family, state), tmp_path, adapter_name="other"
    )
    assert torch.equal(logits(loaded.eval()), logits(model))


@pytest.mark.parametrize("family", OUTPUTS)
def test_a_frozen_output_layer_is_a_parameter_again_after_the_merge(family: str) -> None:
    model = adapted(family, "rep", "paper", train_output=False)
    merged = model.merge_and_unload()
    assert list(merged.state_dict()) == list(tiny_model(family).state_dict())
    parameters = {name for name, _ in merged.named_parameters()}
    assert {f"{OUTPUTS[family]}.weight", f"{OUTPUTS[family]}.bias"} <= parameters


@pytest.mark.parametrize("family", ["bert", "llama-classifier"])
def test_a_tensor_train_head_is_refused_where_there_is_no_dense_layer(family: str) -> None:
    with pytest.raises(ConfigError, match="replaces the dense layer before the classifier") as caught:
        adapted(family, "rep", head="tt")
    assert "adapter.head=dense" in caught.value.hint


def test_loading_goes_on_training_what_trained(tmp_path: Path) -> None:
    state = copy_of_state(tiny_model("deberta"))
    model = adapted("deberta", "rep", "paper")
    train(model, "deberta")
    model.save_pretrained(tmp_path)
    base = same_base_other_head("deberta", state)
    loaded = peft.PeftModel.from_pretrained(base, tmp_path, is_trainable=True)
    wanted = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {name for name, parameter in loaded.named_parameters() if parameter.requires_grad} == wanted
    assert train(loaded, "deberta") == wanted


def test_the_head_takes_dtype_and_training_from_the_layer_it_replaces() -> None:
    owner = nn.Sequential(nn.Linear(48, 48)).to(torch.bfloat16).requires_grad_(False)
    install_tt_head(owner, "0", LorettaRepConfig(tt_rank=5))
    made = owner[0]
    assert isinstance(made, TensorTrainLinear)
    assert {parameter.dtype for parameter in made.parameters()} == {torch.bfloat16}
    assert not any(parameter.requires_grad for parameter in made.parameters())
    install_tt_head(owner, "0", LorettaRepConfig(tt_rank=5))
    assert owner[0] is made


def test_dense_heads_are_the_same_map() -> None:
    owner = nn.Sequential(nn.Linear(48, 48), nn.Tanh())
    install_tt_head(owner, "0", LorettaRepConfig(tt_rank=5))
    inputs = torch.randn(3, 48)
    expected = owner(inputs)
    make_heads_dense(owner)
    assert type(owner[0]) is nn.Linear
    torch.testing.assert_close(owner(inputs), expected, rtol=1e-5, atol=1e-5)


def test_a_tensor_train_head_of_its_own_becomes_dense_in_the_dtype_of_the_model() -> None:
    base = tiny_model("distilbert", dtype=torch.bfloat16)
    model = adapted("distilbert", "rep", "standard", model=base, head="tt", init_weights=False)
    before = logits(model)
    _, tensors = lora_form(model)
    plain = model.merge_and_unload()

    assert isinstance(plain.pre_classifier, nn.Linear)
    assert {value.dtype for value in plain.state_dict().values()} == {torch.bfloat16}
    assert tensors["base_model.model.pre_classifier.weight"].dtype == torch.bfloat16
    torch.testing.assert_close(logits(plain), before, rtol=0.05, atol=0.05)
