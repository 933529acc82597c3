"""The contract of the compared methods without virtual tokens, and what each of them refuses."""

from __future__ import annotations

from pathlib import Path

import peft
import pytest
import torch

from loretta_cli.config import AdapterSettings
from loretta_cli.errors import ConfigError, LorettaError, ModelError
from loretta_cli.methods import METHODS
from loretta_cli.tuners.merging import merge_into_base
from loretta_cli.tuners.settings import make_peft_config, settings_of
from tests.tiny_models import TASK_TYPES, same_base_other_head, tiny_model
from tests.tuners.adapters import copy_of_state, logits, saved_tensors, train, trainable_count
from tests.tuners.baselines import with_method

FAMILIES = ("bert", "deberta", "roberta", "gpt2", "opt-classifier", "t5")
CASES = [
    (family, method)
    for family in FAMILIES
    for method in ("adapters", "bitfit", "full", "head", "ia3", "vera")
    if not (method == "bitfit" and family == "t5")
    if not (method == "head" and TASK_TYPES[family] != "SEQ_CLS")
]
every_case = pytest.mark.parametrize(("family", "method"), CASES)


@every_case
def test_the_model_starts_as_it_was_and_one_step_reaches_what_trains_alone(family: str, method: str) -> None:
    expected = logits(tiny_model(family))
    model = with_method(family, method)
    assert torch.equal(logits(model), expected)

    trainable = {name for name, value in model.named_parameters() if value.requires_grad}
    before = copy_of_state(model)
    train(model, family, steps=1)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}

    assert changed
    assert changed <= trainable
    assert train(model, family, steps=3) == trainable


@every_case
def test_a_saved_adapter_loads_under_another_name_and_holds_what_it_needs(
    family: str, method: str, tmp_path: Path
) -> None:
    state = copy_of_state(tiny_model(family))
    model = with_method(family, method)
    train(model, family)
    model.save_pretrained(tmp_path, save_embedding_layers=False)
    loaded = peft.PeftModel.from_pretrained(
        same_base_other_head(family, state), tmp_path, adapter_name="other"
    ).eval()

    assert torch.equal(logits(loaded), logits(model))
    assert trainable_count(loaded) == 0
    if method != "vera":
        assert sum(value.numel() for value in saved_tensors(tmp_path).values()) == trainable_count(model)


@every_case
def test_a_disabled_adapter_leaves_the_base_model(family: str, method: str) -> None:
    expected = logits(tiny_model(family))
    model = with_method(family, method)
    train(model, family)
    trained = logits(model)
    assert not torch.equal(trained, expected)
    with model.disable_adapter():
        assert torch.equal(logits(model), expected)
    assert torch.equal(logits(model), trained)


@pytest.mark.parametrize(("family", "method"), [case for case in CASES if case[1] != "adapters"])
def test_a_merged_model_gives_the_same_and_has_the_parameters_of_the_base(family: str, method: str) -> None:
    names = list(tiny_model(family).state_dict())
    model = with_method(family, method)
    train(model, family)
    expected = logits(model)
    merged = merge_into_base(model)

    torch.testing.assert_close(logits(merged), expected, rtol=0, atol=1e-4)
    assert list(merged.state_dict()) == names


def test_dense_adapters_are_linear_layers_and_their_pooler_trains() -> None:
    model = with_method("deberta", "adapters", bottleneck=4)
    layer = model.base_model.model.deberta.encoder.layer[0].attention.output.dense

    assert type(layer.loretta_adp_down["default"]) is torch.nn.Linear
    assert layer.loretta_adp_down["default"].weight.shape == (4, 48)
    assert layer.scaling["default"] == 1.0
    assert any("pooler" in name for name, value in model.named_parameters() if value.requires_grad)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_settings_of_a_config_make_the_same_config_again(method: str) -> None:
    def make(**settings: object) -> peft.PeftConfig:
        chosen = AdapterSettings.model_validate({"method": method, **settings})
        return make_peft_config(chosen, task_type="SEQ_CLS", model_type="bert")

    found = settings_of(method, make())

    assert settings_of(method, make(**found)) == found


@pytest.mark.parametrize(
    ("family", "method", "message"),
    [
        ("llama", "head", "used without one"),
        ("llama", "bitfit", "no biases"),
        ("codegen", "ia3", "not known where ia3 stands"),
        ("llama-classifier", "prompt", "encoders of a known family only"),
        ("codegen", "adapters", "specify `target_modules`"),
    ],
)
def test_a_model_without_a_place_for_a_method_is_refused(family: str, method: str, message: str) -> None:
    with pytest.raises((ConfigError, ModelError), match=message):
        with_method(family, method)


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("full", {"bottleneck": 4}),
        ("ia3", {"target_modules": ["query"]}),
        ("prefix", {"bottleneck": 4}),
        ("rep", {"virtual_tokens": 4}),
        ("adapters", {"tt_rank": 4}),
        ("vera", {"alpha": 4.0}),
    ],
)
def test_a_setting_that_a_method_does_not_read_is_refused(method: str, settings: dict[str, object]) -> None:
    with pytest.raises(
        LorettaError, match=f"{method} does not have the setting adapter.{next(iter(settings))}"
    ):
        with_method("bert", method, **settings)


def test_dense_adapters_have_no_tensor_train_head() -> None:
    with pytest.raises(ConfigError, match="no tensor trains"):
        with_method("roberta", "adapters", head="tt")
