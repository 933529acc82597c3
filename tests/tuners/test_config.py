"""What both configs share: gaps filled from the preset, choices of the user kept."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from loretta_cli.errors import ConfigError
from loretta_cli.tuners import LorettaRepConfig
from tests.tiny_models import UNKNOWN, tiny_model
from tests.tuners.adapters import CONFIGS, adapted, config_for

METHODS = list(CONFIGS)


def completed(family: str, method: str, **settings: Any) -> Any:
    model = tiny_model(family)
    config = config_for(family, method, **settings)
    config.complete(model.config.to_dict(), [name for name, _ in model.named_modules()])
    return config


@pytest.mark.parametrize("family", ["bert", "roberta", "deberta", "llama", "llama-classifier"])
@pytest.mark.parametrize("preset", ["paper", "standard", "lean"])
@pytest.mark.parametrize("method", METHODS)
def test_completing_twice_changes_nothing(family: str, preset: str, method: str) -> None:
    once = completed(family, method, preset=preset)
    twice = copy.deepcopy(once)
    model = tiny_model(family)
    twice.complete(model.config.to_dict(), [name for name, _ in model.named_modules()])
    assert twice == once


@pytest.mark.parametrize("method", METHODS)
def test_choices_of_the_user_win_over_the_preset(method: str) -> None:
    config = completed(
        "roberta", method, preset="paper", tt_rank=2, dropout=0.3, train_norms=False, head="dense", alpha=7.0
    )
    assert (config.tt_rank, config.dropout, config.train_norms, config.head, config.alpha) == (
        2,
        0.3,
        False,
        "dense",
        7.0,
    )
    assert "LayerNorm" not in config.modules_to_save
    assert config.tt_head is None


@pytest.mark.parametrize("method", METHODS)
def test_lists_of_names_become_sets_and_expressions_stay_text(method: str) -> None:
    config = CONFIGS[method](target_modules=["query", "query"], exclude_modules=["0.query"])
    assert config.target_modules == {"query"}
    assert config.exclude_modules == {"0.query"}
    assert CONFIGS[method](target_modules=r".*query").target_modules == r".*query"


def test_modules_of_the_user_are_saved_beside_norms_and_head() -> None:
    config = completed("bert", "rep", preset="paper", modules_to_save=["pooler"])
    assert config.modules_to_save == ["pooler", "LayerNorm", "classifier"]


def test_the_mode_shape_of_the_user_is_taken_for_its_size_only() -> None:
    config = LorettaRepConfig(mode_shapes={"48x8": [48, 8]})
    assert config.mode_shape(48, 8).modes == (48, 8)
    assert config.mode_shape(8, 48).modes == (8, 6, 8)


def test_a_mode_shape_of_a_wrong_product_is_refused() -> None:
    with pytest.raises(ConfigError, match="multiply to 392, but a 48 x 8 matrix has 384 entries"):
        adapted("bert", "rep", mode_shapes={"48x8": [49, 8]})


@pytest.mark.parametrize("method", METHODS)
def test_norms_are_refused_where_they_are_not_known(method: str) -> None:
    with pytest.raises(ConfigError, match="normalisation layers of this model family are not known"):
        completed(UNKNOWN, method, train_norms=True, target_modules=["qkv_proj"])


@pytest.mark.parametrize("method", METHODS)
def test_a_pattern_without_layers_is_refused(method: str) -> None:
    with pytest.raises(ConfigError, match="layers_pattern is given without layers_to_transform"):
        CONFIGS[method](layers_pattern="layer")


@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_head_is_refused_with_the_known_ones(method: str) -> None:
    with pytest.raises(ConfigError, match="head is 'linear'; expected one of tt, dense, frozen"):
        CONFIGS[method](head="linear")
