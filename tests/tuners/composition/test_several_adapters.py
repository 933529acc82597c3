"""Several adapters in one model: side by side, active together, of other shapes, mixed types, single rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch

from loretta_cli.tuners.refusals import UnsupportedFeatureError
from loretta_cli.tuners.rep import RepLayer
from tests.tiny_models import tiny_model, token_batch
from tests.tuners.adapters import CONFIGS, adapted, config_for, logits, train

both_methods = pytest.mark.parametrize("method", CONFIGS)
OTHER_SHAPES: dict[str, Any] = {
    "another TT rank": {"tt_rank": 3},
    "other layers": {"target_modules": ["k_proj", "o_proj"]},
    "some of the layers": {"layers_to_transform": [1]},
    "dropout": {"dropout": 0.3},
}
OTHER_WIDTHS = {"adp": {"bottleneck": 16}, "rep": {"r": 4}}


def two(method: str, family: str = "llama", preset: str = "lean", **second: Any) -> Any:
    """A model with the trained adapters ``default`` and ``second``; ``default`` is active."""
    model = adapted(family, method, preset)
    train(model, family)
    model.add_adapter("second", config_for(family, method, preset, **second))
    model.set_adapter("second")
    train(model, family, seed=100)
    model.set_adapter("default")
    return model


def logits_of(model: Any, *names: str) -> torch.Tensor:
    model.base_model.set_adapter(list(names))
    return logits(model)


@both_methods
@pytest.mark.parametrize("difference", [*OTHER_SHAPES, "another width"])
def test_adapters_of_different_shapes_live_in_one_model(method: str, difference: str, tmp_path: Path) -> None:
    settings = OTHER_SHAPES.get(difference) or OTHER_WIDTHS[method]
    model = two(method, **settings)
    first, second = logits_of(model, "default"), logits_of(model, "second")
    assert not torch.equal(first, second)
    model.save_pretrained(tmp_path)
    for folder, expected in ((tmp_path, first), (tmp_path / "second", second)):
        loaded = peft.PeftModel.from_pretrained(tiny_model("llama"), folder, adapter_name="one").eval()
        assert torch.equal(logits(loaded), expected)
    model.delete_adapter("default")
    assert torch.equal(logits_of(model, "second"), second)
    with model.disable_adapter():
        assert torch.equal(logits(model), logits(tiny_model("llama")))


def test_two_active_rep_adapters_add_their_updates() -> None:
    model = two("rep", tt_rank=3, target_modules=["q_proj", "k_proj"])
    both = logits_of(model, "default", "second")
    layers = {name: module for name, module in model.named_modules() if isinstance(module, RepLayer)}
    plain = tiny_model("llama")
    with torch.no_grad():
        for name, layer in layers.items():
            weight = plain.get_submodule(name.removeprefix("base_model.model.")).weight
            for adapter in layer.loretta_rep_A:
                weight += layer.get_delta_weight(adapter)
    torch.testing.assert_close(both, logits(plain), rtol=0, atol=2e-5)
    assert not torch.equal(both, logits_of(model, "default"))


def test_two_active_adp_adapters_act_one_after_the_other() -> None:
    model = two("adp")
    both, turned = logits_of(model, "default", "second"), logits_of(model, "second", "default")
    alone = [logits_of(model, "default"), logits_of(model, "second")]
    assert not any(torch.equal(both, one) for one in alone)
    assert not torch.equal(turned, both)


@both_methods
def test_two_active_adapters_train_together(method: str) -> None:
    model = two(method)
    model.base_model.set_adapter(["default", "second"])
    reached = train(model, "llama")
    assert reached == {name for name, _ in model.named_parameters() if "loretta_" in name}
    assert model.active_adapters == ["default", "second"]
    model.set_adapter("default")
    assert {name for name, value in model.named_parameters() if value.requires_grad} == {
        name for name in reached if ".default." in name
    }


def test_two_active_rep_adapters_merge_together_and_unload() -> None:
    model = two("rep")
    expected = logits_of(model, "default", "second")
    torch.testing.assert_close(logits(model.merge_and_unload()), expected, rtol=0, atol=2e-5)


@both_methods
def test_two_heads_at_once_are_refused_in_words(method: str) -> None:
    model = two(method, "bert")
    with pytest.raises(ValueError, match="Only one adapter can be set at a time for ModulesToSaveWrapper"):
        model.base_model.set_adapter(["default", "second"])


@both_methods
def test_modules_to_save_belong_to_one_adapter_each(method: str, tmp_path: Path) -> None:
    model = adapted("llama", method, "lean", modules_to_save=["lm_head"])
    train(model, "llama")
    model.add_adapter("second", config_for("llama", method, "lean", modules_to_save=["lm_head", "norm"]))
    first = logits(model)
    model.set_adapter("second")
    train(model, "llama", seed=100)
    second = logits(model)
    model.set_adapter("default")
    assert torch.equal(logits(model), first)
    model.save_pretrained(tmp_path)
    for folder, expected in ((tmp_path, first), (tmp_path / "second", second)):
        loaded = peft.PeftModel.from_pretrained(tiny_model("llama"), folder, adapter_name="one").eval()
        assert torch.equal(logits(loaded), expected)


@both_methods
def test_an_adapter_of_the_other_type_is_refused_in_words(method: str, tmp_path: Path) -> None:
    (other,) = set(CONFIGS) - {method}
    model = adapted("bert", method)
    with pytest.raises(ValueError, match="Cannot combine adapters with different peft types"):
        model.add_adapter("second", config_for("bert", other))
    adapted("bert", other).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="Cannot combine adapters with different peft types"):
        model.load_adapter(tmp_path, "second")


@both_methods
def test_a_model_of_mixed_types_is_refused_in_words(method: str) -> None:
    with pytest.raises(ValueError, match=r"'LORETTA_\w+' is not compatible with the `PeftMixedModel`"):
        peft.get_peft_model(tiny_model("bert"), config_for("bert", method), mixed=True)


@both_methods
@pytest.mark.parametrize("names", [["default", "second"], ["second", "__base__"]])
def test_an_adapter_for_each_row_is_refused_in_words(method: str, names: list[str]) -> None:
    model = two(method)
    batch = token_batch(rows=2)
    with pytest.raises(UnsupportedFeatureError, match="adapter_names was given, but adapters of this kind"):
        model(**batch, adapter_names=names)
    with pytest.raises(UnsupportedFeatureError, match="adapter_names was given, but adapters of this kind"):
        model.generate(**batch, adapter_names=names, max_new_tokens=1)
    with pytest.raises(UnsupportedFeatureError, match="alora_offsets was given"):
        model(**batch, alora_offsets=[1, 1])
    assert torch.equal(model(**batch, adapter_names=None).logits, model(**batch).logits)


@both_methods
@pytest.mark.parametrize("task_type", [None, "SEQ_CLS", "FEATURE_EXTRACTION"])
def test_every_kind_of_peft_model_refuses_it(method: str, task_type: str | None) -> None:
    config = CONFIGS[method](task_type=task_type)
    model = peft.get_peft_model(tiny_model("bert"), config)
    with pytest.raises(UnsupportedFeatureError, match="adapter_names was given"):
        model(**token_batch(), adapter_names=["default", "default"])


@both_methods
def test_peft_reports_the_state_of_the_layers(method: str) -> None:
    status = two(method).get_model_status()
    assert status.peft_types == {name: f"LORETTA_{method.upper()}" for name in ("default", "second")}
    assert status.active_adapters == ["default"]
    assert status.available_adapters == ["default", "second"]
    assert status.requires_grad == {"default": True, "second": False}


@both_methods
def test_an_adapter_added_to_a_model_in_eval_mode_drops_nothing(method: str) -> None:
    model = adapted("llama", method, "lean")
    model.add_adapter("second", config_for("llama", method, "lean", dropout=0.5, init_weights=False))
    model.set_adapter("second")
    assert torch.equal(logits(model), logits(model))


@both_methods
def test_all_linear_leaves_the_output_alone_beside_an_adapter_on_it(method: str) -> None:
    model = adapted("llama", method, target_modules=["lm_head"])
    model.add_adapter("second", config_for("llama", method, target_modules="all-linear"))

    targets = model.peft_config["second"].target_modules
    assert len(targets) == 14
    assert "lm_head" not in targets
