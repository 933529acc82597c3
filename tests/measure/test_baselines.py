"""The formulas of other methods against PEFT's own models, and against the counts that LoRETTA prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loretta_cli.config import AdapterSettings, Config
from loretta_cli.errors import ConfigError, LorettaError, ModelError
from loretta_cli.measure.baselines import BASELINES
from loretta_cli.measure.closed_form import count_in_closed_form
from loretta_cli.measure.counting import count_methods
from loretta_cli.measure.flops import flops_per_step
from loretta_cli.measure.parameters import ParameterCount, count_adapter, count_base
from loretta_cli.measure.published import PUBLISHED, PublishedCount
from loretta_cli.methods import COMPARED, METHODS
from loretta_cli.models.architectures import ARCHITECTURES
from loretta_cli.models.families import family_of
from loretta_cli.models.outline import Form
from tests.tiny_models import LABELS, TASK_TYPES, TINY, tiny_config, tiny_model
from tests.tuners.baselines import with_method

KNOWN = [name for name in TINY if family_of(tiny_config(name).model_type) is not None]


def form_of(name: str) -> Form:
    return "classification" if TASK_TYPES[name] == "SEQ_CLS" else "prompt"


def by_formula(name: str, method: str, **settings: Any) -> ParameterCount | None:
    chosen = AdapterSettings.model_validate({"method": method, **settings})
    facts = tiny_config(name).to_dict()
    return count_in_closed_form(method, chosen, facts, form=form_of(name), labels=LABELS)


@pytest.mark.parametrize("method", COMPARED)
@pytest.mark.parametrize("name", KNOWN)
def test_a_method_trains_what_its_formula_says_or_neither_has_a_place(name: str, method: str) -> None:
    formula, base = by_formula(name, method), tiny_model(name)
    total = count_base(base)
    if formula is None:
        with pytest.raises(LorettaError):
            with_method(name, method, model=base)
        return
    model = with_method(name, method, model=base)

    assert formula == count_adapter(model, total, base.config.model_type)
    assert formula.trainable == sum(formula.parts.values())


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_dense_adapters_stand_where_those_of_adp_do(name: str) -> None:
    tensor_trains, dense = by_formula(name, "adp", bottleneck=8), by_formula(name, "adapters", bottleneck=8)
    assert tensor_trains is not None
    assert dense is not None
    assert dense.layers == tensor_trains.layers
    assert dense.parts["biases"] == tensor_trains.parts["biases"]
    assert dense.parts["cores"] == dense.layers * 2 * 48 * 8


def test_every_method_but_ours_has_a_formula() -> None:
    assert set(BASELINES) == set(METHODS) - {"adp", "rep"} == set(COMPARED)


def test_dense_adapters_with_trained_norms_are_those_of_the_paper() -> None:
    config = Config.model_validate(
        {"model": {"name": "microsoft/deberta-base"}, "adapter": {"train_norms": True}}
    )
    (entry,) = count_methods(config, ["adapters"], asked={"adapters"}, labels=None)

    assert entry.count.trainable == 944_066


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("p-tuning", {"virtual_tokens": 3, "bottleneck": 5}),
        ("prefix", {"virtual_tokens": 3}),
        ("vera", {"dropout": 0.5}),
    ],
)
def test_settings_are_counted_alike(method: str, settings: dict[str, Any]) -> None:
    base = tiny_model("bert")
    total = count_base(base)

    model = with_method("bert", method, model=base, **settings)
    assert by_formula("bert", method, **settings) == count_adapter(model, total, "bert")


@pytest.mark.parametrize(("model", "method"), PUBLISHED)
def test_a_published_count_is_ours_or_the_difference_has_a_reason(model: str, method: str) -> None:
    known, published = ARCHITECTURES[model], PUBLISHED[model, method]
    facts = {"model_type": known.model_type, **known.settings}
    family = family_of(known.model_type)
    assert family is not None
    count = count_in_closed_form(
        method, AdapterSettings.model_validate({"method": method}), facts, form=family.form, labels=2
    )
    assert count is not None
    is_rounded = abs(count.trainable - published.trainable) <= 5_000
    # The paper cuts digits off as often as it rounds them.
    is_cut = 0 <= count.trainable - published.trainable < 10_000
    assert (is_rounded or is_cut) == (published.reason == "")


@pytest.mark.parametrize("method", ["adp", "rep", "lora", "ia3", "adapters", "bitfit", "prompt", "vera"])
def test_the_flops_of_a_step_are_between_one_forward_pass_and_full_fine_tuning(method: str) -> None:
    def count(name: str) -> int | None:
        settings = AdapterSettings.model_validate({"method": name})
        return flops_per_step(
            name,
            settings,
            tiny_config("bert", hidden_size=768, max_position_embeddings=600),
            form="classification",
            labels=2,
            tokens=512,
        )

    full, asked = count("full"), count(method)
    assert full is not None
    assert asked is not None
    assert full / 3 < asked < 1.1 * full


def test_further_blocks_cost_what_one_block_costs() -> None:
    def count(layers: int) -> int | None:
        config = tiny_config("llama", num_hidden_layers=layers)
        return flops_per_step("rep", AdapterSettings(method="rep"), config, form="prompt", labels=2, tokens=8)

    # Four blocks are counted as they are, nine are extended from two and four.
    four, three, nine = count(4), count(3), count(9)
    assert four is not None
    assert three is not None
    assert nine == four + 5 * (four - three)


@pytest.mark.parametrize(("method", "setting"), [("ia3", "bottleneck"), ("full", "target_modules")])
def test_a_setting_that_a_method_does_not_read_is_refused(method: str, setting: str) -> None:
    value: Any = 4 if setting == "bottleneck" else ["query"]
    config = Config.model_validate({"model": {"name": "bert-base-uncased"}, "adapter": {setting: value}})

    with pytest.raises(ConfigError, match=f"does not have the setting adapter.{setting}"):
        count_methods(config, [method], asked={method}, labels=None)


def test_a_method_without_a_place_on_the_model_is_refused_or_left_out_of_a_comparison() -> None:
    config = Config.model_validate({"model": {"name": "t5-small"}})

    with pytest.raises(ModelError, match="no biases"):
        count_methods(config, ["bitfit"], asked={"bitfit"}, labels=None)
    assert [
        entry.method for entry in count_methods(config, ["rep", "bitfit"], asked={"rep"}, labels=None)
    ] == ["rep"]


def test_a_setting_of_full_is_refused_too_and_auto_says_nothing() -> None:
    config = Config.model_validate({"model": {"name": "bert-base-uncased"}, "adapter": {"bottleneck": 3}})
    with pytest.raises(ConfigError, match=r"full does not have the setting adapter\.bottleneck"):
        count_methods(config, ["full"], asked={"full"}, labels=None)

    assert by_formula("bert", "vera", preset="auto", tt_rank=None) == by_formula("bert", "vera")


def test_a_regular_expression_for_targets_is_counted_on_a_model() -> None:
    def count(targets: Any) -> int:
        config = Config.model_validate(
            {"model": {"name": "bert-base-uncased"}, "adapter": {"target_modules": targets}}
        )
        (entry,) = count_methods(config, ["vera"], asked={"vera"}, labels=None)
        return entry.count.trainable

    assert count(".*query") == count(["query"])


def test_the_flops_of_vera_are_those_of_its_settings() -> None:
    def count(**settings: Any) -> int:
        chosen = AdapterSettings.model_validate({"method": "vera", **settings})
        found = flops_per_step("vera", chosen, tiny_config("llama"), form="prompt", labels=2, tokens=8)
        assert found is not None
        return found

    assert count(bottleneck=8) < count() < count(target_modules=["q_proj", "v_proj", "o_proj"])


def test_a_published_count_is_for_the_paper_s_model_and_says_so_of_other_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def published(name: str, **adapter: Any) -> PublishedCount | None:
        config = Config.model_validate({"model": {"name": name}, "adapter": adapter})
        (entry,) = count_methods(config, ["adp"], asked={"adp"}, labels=None)
        return entry.published

    printed = PublishedCount(100_000)
    assert published("deberta-base") == published("deberta-base", preset="paper") == printed
    other = published("deberta-base", tt_rank=2)
    assert other is not None
    assert "settings" in other.reason

    tiny_config("bert").save_pretrained(tmp_path / "deberta-base")
    monkeypatch.chdir(tmp_path)
    assert published("deberta-base") is None
