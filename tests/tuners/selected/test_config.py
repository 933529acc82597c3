"""Which parameters a config selects."""

from __future__ import annotations

from typing import Any

import peft
import pytest

from loretta_cli.errors import ConfigError
from loretta_cli.tuners import SelectedConfig


def test_the_type_is_registered_and_saved_without_targets(tmp_path: Any) -> None:
    SelectedConfig(parameters="biases", modules=["score"]).save_pretrained(tmp_path)
    again = peft.PeftConfig.from_pretrained(tmp_path)

    assert isinstance(again, SelectedConfig)
    assert (again.parameters, again.modules) == ("biases", ["score"])
    assert "target_modules" not in (tmp_path / "adapter_config.json").read_text(encoding="utf-8")


def test_a_bias_is_known_by_the_end_of_its_name() -> None:
    config = SelectedConfig(parameters="biases", modules=["score"])

    assert config.selects("encoder", "bias")
    assert config.selects("encoder", "q_bias")
    assert not config.selects("encoder", "weight")
    assert not config.selects("relative_attention_bias", "weight")
    assert config.selects("score.dense", "weight")
    assert not config.selects("scorer", "weight")


def test_another_word_for_the_parameters_is_refused() -> None:
    wrong: Any = "norms"
    with pytest.raises(ConfigError, match="expected one of all, biases, none"):
        SelectedConfig(parameters=wrong)
