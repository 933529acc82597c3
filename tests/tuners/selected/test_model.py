"""The tuner of chosen parameters: several adapters, tied weights, dtypes, refusals."""

from __future__ import annotations

from pathlib import Path

import peft
import pytest
import torch

from loretta_cli.models.quantization import make_trainable
from loretta_cli.tuners import SelectedConfig
from loretta_cli.tuners.refusals import UnsupportedFeatureError
from loretta_cli.tuners.targets import TargetModulesError
from tests.tiny_models import tiny_model
from tests.tuners.adapters import copy_of_state, logits, saved_tensors, train, trainable_count
from tests.tuners.baselines import with_method


def test_full_trains_every_number_of_the_model_and_a_tied_one_once(tmp_path: Path) -> None:
    base = tiny_model("gpt2")
    total = sum(value.numel() for value in base.parameters())
    assert base.lm_head.weight is base.transformer.wte.weight
    model = with_method("gpt2", "full", model=base)
    train(model, "gpt2")

    assert trainable_count(model) == total
    assert torch.equal(base.lm_head.weight, base.transformer.wte.weight)
    model.save_pretrained(tmp_path, save_embedding_layers=False)
    assert sum(value.numel() for value in saved_tensors(tmp_path).values()) == total
    merged = model.merge_and_unload()
    assert merged.lm_head.weight is merged.transformer.wte.weight


@pytest.mark.parametrize("method", ["bitfit", "full"])
def test_two_adapters_in_one_model_do_not_touch_each_other(method: str) -> None:
    model = with_method("bert", method)
    count = trainable_count(model)
    train(model, "bert")
    first = logits(model)
    model.add_adapter("second", model.peft_config["default"])
    assert torch.equal(logits(model), first)
    model.set_adapter("second")
    assert trainable_count(model) == count
    train(model, "bert", seed=100)
    second = logits(model)
    assert not torch.equal(first, second)
    model.set_adapter("default")
    assert torch.equal(logits(model), first)
    model.delete_adapter("second")
    assert not any("second" in name for name in model.state_dict())
    assert torch.equal(logits(model), first)


def test_unloading_gives_the_base_model_back() -> None:
    base = tiny_model("bert")
    before, expected = copy_of_state(base), logits(base)
    model = with_method("bert", "full", model=base)
    train(model, "bert")
    model.merge_adapter()
    unloaded = model.unload()

    assert torch.equal(logits(unloaded), expected)
    assert list(unloaded.state_dict()) == list(before)


def test_a_half_precision_model_keeps_its_dtype_and_trains_copies_in_float32() -> None:
    expected = logits(tiny_model("bert", dtype=torch.bfloat16))
    model = with_method("bert", "full", model=tiny_model("bert", dtype=torch.bfloat16))

    assert torch.equal(logits(model), expected)
    assert {value.dtype for value in model.parameters() if value.requires_grad} == {torch.float32}
    assert train(model, "bert")
    assert logits(model).dtype == torch.bfloat16


def test_a_head_of_an_unknown_family_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loretta_cli.tuners.selected.model.family_of", lambda model_type: None)
    config = SelectedConfig(task_type="SEQ_CLS", parameters="none")
    model = peft.get_peft_model(tiny_model("bert"), config)

    assert config.modules == ["classifier"]
    assert trainable_count(model) == sum(
        value.numel() for value in tiny_model("bert").classifier.parameters()
    )


def test_adapters_for_single_rows_and_weighted_sums_are_refused() -> None:
    model = with_method("bert", "bitfit")

    with pytest.raises(UnsupportedFeatureError, match="all rows of a batch alike"):
        model(input_ids=torch.tensor([[5, 6]]), adapter_names=["default"])
    with pytest.raises(UnsupportedFeatureError, match="cannot be added"):
        model.base_model.add_weighted_adapter(["default"], [1.0], "sum")


def test_a_config_that_selects_nothing_is_refused() -> None:
    with pytest.raises(TargetModulesError, match="no classification head"):
        peft.get_peft_model(tiny_model("llama"), SelectedConfig(parameters="none"))


def test_a_quantised_weight_is_refused() -> None:
    from tests.quantized_models import quantized_model

    base = quantized_model("llama", "nf4")
    make_trainable(base)
    with pytest.raises(TargetModulesError, match="quantised and cannot be trained"):
        with_method("llama", "full", model=base)
