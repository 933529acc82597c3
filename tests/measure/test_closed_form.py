"""Counting by formula equals counting the model that transformers builds without weights."""

from __future__ import annotations

from typing import Any

import pytest

from loretta_cli.config import AdapterSettings
from loretta_cli.measure.closed_form import count_in_closed_form
from loretta_cli.measure.empty_model import count_on_empty_model
from loretta_cli.measure.parameters import ParameterCount
from loretta_cli.models.architectures import ARCHITECTURES
from loretta_cli.models.families import family_of
from tests.command_line import python

METHODS = ("adp", "rep", "lora", "full")
LAYER_KEYS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_decoder_layers")


def facts_of(name: str, *, layers: int | None = None) -> dict[str, Any]:
    """The facts of a well-known model, cut to a few layers: the others are like them."""
    known = ARCHITECTURES[name]
    facts = {"model_type": known.model_type, **known.settings}
    return facts | ({key: layers for key in LAYER_KEYS if key in facts} if layers else {})


def both(
    facts: dict[str, Any], method: str, *, form: Any = None, labels: int = 2, **settings: Any
) -> tuple[ParameterCount | None, ParameterCount]:
    """The count by formula, and that of the model."""
    from transformers import AutoConfig

    family = family_of(facts["model_type"])
    assert family is not None
    chosen = AdapterSettings.model_validate({"method": method, **settings})
    sizes = {name: value for name, value in facts.items() if name != "model_type"}
    config = AutoConfig.for_model(facts["model_type"], **sizes)
    form = form or family.form
    return (
        count_in_closed_form(method, chosen, facts, form=form, labels=labels),
        count_on_empty_model(method, chosen, config, form, labels),
    )


ONE_OF_EACH_TYPE = sorted({known.model_type: name for name, known in ARCHITECTURES.items()}.values())
OF_EVERY_MODEL = [(name, "adp") for name in ARCHITECTURES]
OF_EVERY_TYPE = [(name, method) for name in ONE_OF_EACH_TYPE for method in METHODS if method != "adp"]


@pytest.mark.parametrize(("name", "method"), [*OF_EVERY_MODEL, *OF_EVERY_TYPE])
def test_every_well_known_model_is_counted_alike(name: str, method: str) -> None:
    formula, model = both(facts_of(name, layers=2), method)

    assert formula == model


SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("adp", {"bottleneck": 16, "tt_rank": 3}),
    ("adp", {"bias": False, "placement": "mlp"}),
    ("adp", {"placement": "sublayer", "train_norms": True}),
    ("rep", {"bottleneck": 12, "tt_rank": 7, "train_norms": True}),
    ("rep", {"preset": "lean", "alpha": 3.0, "dropout": 0.1}),
    ("adp", {"preset": "paper"}),
    ("rep", {"preset": "paper"}),
    ("lora", {"bottleneck": 4}),
]


@pytest.mark.parametrize(("method", "settings"), SETTINGS, ids=str)
@pytest.mark.parametrize("name", ONE_OF_EACH_TYPE)
def test_plain_settings_are_counted_alike(name: str, method: str, settings: dict[str, Any]) -> None:
    formula, model = both(facts_of(name, layers=2), method, **settings)

    assert formula == model


@pytest.mark.parametrize("head", ["tt", "dense", "frozen"])
@pytest.mark.parametrize("method", ["adp", "rep"])
@pytest.mark.parametrize("name", ["microsoft/deberta-base", "FacebookAI/roberta-base"])
@pytest.mark.parametrize("preset", ["paper", "standard"])
def test_heads_are_counted_alike(preset: str, name: str, method: str, head: str) -> None:
    formula, model = both(facts_of(name, layers=2), method, labels=5, head=head, preset=preset)

    assert formula == model


@pytest.mark.parametrize("name", ["llama-2-7b", "qwen3-8b", "gpt2"])
def test_a_decoder_with_a_classification_head_is_counted_alike(name: str) -> None:
    from loretta_cli.models.bundled import find_architecture

    found = find_architecture(name)
    assert found is not None
    formula, model = both(facts_of(found[0], layers=2), "rep", form="classification", labels=4)

    assert formula == model


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("rep", {"target_modules": ["q_proj", "o_proj"]}),
        ("adp", {"target_modules": ["o_proj", "gate_proj"]}),
        ("adp", {"target_modules": ["o_proj"], "placement": "sublayer"}),
        ("adp", {"target_modules": ["mlp.gate_proj", "down_proj"]}),
        ("lora", {"target_modules": ["k_proj"]}),
        ("lora", {"target_modules": ["lm_head"]}),
        ("rep", {"target_modules": ["lm_head", "q_proj"]}),
    ],
)
def test_given_targets_are_counted_alike(method: str, settings: dict[str, Any]) -> None:
    formula, model = both(facts_of("meta-llama/Llama-3.1-8B", layers=2), method, **settings)

    assert formula == model


@pytest.mark.parametrize("method", ["adp", "rep", "lora"])
def test_a_target_in_the_head_as_well_is_counted_once(method: str) -> None:
    facts = facts_of("google-t5/t5-small", layers=2)
    formula, model = both(facts, method, form="classification", target_modules=["dense", "wo"])
    assert formula is None

    formula, model = both(
        facts_of("FacebookAI/roberta-base", layers=2), method, target_modules=["dense", "query"]
    )
    assert formula == model


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("rep", {"target_modules": ["q_proj", "no_such_layer"]}),
        ("rep", {"target_modules": ".*q_proj"}),
        ("rep", {"layers_to_transform": [0]}),
        ("rep", {"mode_shapes": {"4096x8": [8, 8, 8, 8, 8]}}),
        ("rep", {"init": "noise-reduction"}),
        ("rep", {"placement": "mlp"}),
        ("rep", {"head": "dense"}),
        ("lora", {"tt_rank": 4}),
    ],
)
def test_other_settings_are_left_to_a_real_model(method: str, settings: dict[str, Any]) -> None:
    chosen = AdapterSettings.model_validate({"method": method, **settings})

    facts = facts_of("meta-llama/Llama-2-7b-hf")

    assert count_in_closed_form(method, chosen, facts, form="prompt", labels=2) is None


def test_a_well_known_model_is_counted_without_torch() -> None:
    told = python(
        "import sys\nfrom loretta_cli.config import Config\n"
        "from loretta_cli.measure.counting import count_methods\n"
        "config = Config.model_validate({'model': {'name': 'llama-2-70b'}})\n"
        "counts = count_methods(config, ['adp', 'rep', 'lora', 'full'], asked={'rep'}, labels=None)\n"
        "print([entry.count.trainable for entry in counts])\n"
        "heavy = ('torch', 'transformers', 'peft', 'tensorly', 'numpy')\n"
        "print([name for name in heavy if name in sys.modules])"
    )

    assert told.splitlines() == ["[4728832, 1987072, 16384000, 68976648192]", "[]"]
