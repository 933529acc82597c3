"""Choosing blocks: layers_to_transform with a list of names, a pattern, all-linear; saved and read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from peft.utils.error import NoMatchingPeftModuleError

from loretta_cli.errors import ConfigError
from loretta_cli.tuners.targets import TargetModulesError
from tests.tiny_models import same_base_other_head, tiny_model
from tests.tuners.adapters import CONFIGS, adapted, config_for, copy_of_state, logits, train

both_methods = pytest.mark.parametrize("method", CONFIGS)
BLOCKS = {"bert": "layer", "llama": "layers"}
both_families = pytest.mark.parametrize("family", BLOCKS)


def with_adapter(model: Any, adapter: str = "default") -> set[str]:
    """Names of the layers that have an adapter of this name."""
    return {
        name.removeprefix("base_model.model.")
        for name, module in model.named_modules()
        for trains in ("loretta_rep_A", "loretta_adp_down")
        if adapter in getattr(module, trains, ())
    }


def in_block(names: set[str], *indices: int) -> set[str]:
    return {name for name in names if any(f".{index}." in name for index in indices)}


@both_families
@both_methods
@pytest.mark.parametrize("layers", [1, [1], [0, 1]])
@pytest.mark.parametrize("as_list", [True, False])
def test_a_pattern_names_the_list_of_blocks(family: str, method: str, layers: Any, as_list: bool) -> None:
    every = with_adapter(adapted(family, method))
    pattern = [BLOCKS[family]] if as_list else BLOCKS[family]
    chosen = with_adapter(adapted(family, method, layers_to_transform=layers, layers_pattern=pattern))
    indices = [layers] if isinstance(layers, int) else layers
    assert chosen == in_block(every, *indices)
    assert chosen


@both_families
@both_methods
def test_an_adapter_on_one_block_saves_and_loads(family: str, method: str, tmp_path: Path) -> None:
    state = copy_of_state(tiny_model(family))
    model = adapted(family, method, "paper", layers_to_transform=[1], layers_pattern=BLOCKS[family])
    train(model, family)
    model.save_pretrained(tmp_path)
    loaded = peft.PeftModel.from_pretrained(
        same_base_other_head(family, state), tmp_path, adapter_name="other"
    )
    assert with_adapter(loaded, "other") == with_adapter(model)
    assert torch.equal(logits(loaded.eval()), logits(model))


@both_families
@both_methods
def test_all_linear_means_the_layers_of_the_chosen_blocks(family: str, method: str, tmp_path: Path) -> None:
    every = with_adapter(adapted(family, method, target_modules="all-linear"))
    model = adapted(family, method, target_modules="all-linear", layers_to_transform=[1])
    assert with_adapter(model) == in_block(every, 1)
    assert len(with_adapter(model)) in (6, 7)
    model.save_pretrained(tmp_path)
    loaded = peft.PeftModel.from_pretrained(tiny_model(family), tmp_path)
    assert with_adapter(loaded) == with_adapter(model)


@both_families
@both_methods
def test_a_second_adapter_with_all_linear_takes_the_layers_of_the_first_too(family: str, method: str) -> None:
    every = with_adapter(adapted(family, method, target_modules="all-linear"))
    model = adapted(family, method)
    model.add_adapter("second", config_for(family, method, target_modules="all-linear"))
    assert with_adapter(model, "second") == every
    assert with_adapter(model, "default") < every


@both_methods
def test_a_regular_expression_together_with_layers_is_refused(method: str) -> None:
    with pytest.raises(ConfigError, match="as a list of names, found the regular") as told:
        adapted("bert", method, target_modules=".*query", layers_to_transform=[1])
    assert "regular expression" in told.value.hint


@both_methods
def test_a_negative_layer_is_refused(method: str) -> None:
    with pytest.raises(TargetModulesError, match=r"names the layers \[-1\], but the last layer .* is 1\."):
        adapted("bert", method, layers_to_transform=[-1])


@both_methods
@pytest.mark.parametrize("targets", [None, "all-linear"])
def test_a_pattern_that_no_block_has_is_refused(method: str, targets: str | None) -> None:
    with pytest.raises((NoMatchingPeftModuleError, ConfigError)) as told:
        adapted(
            "llama", method, layers_to_transform=[1], layers_pattern="no_such_list", target_modules=targets
        )
    assert "layers_pattern" in str(told.value)
