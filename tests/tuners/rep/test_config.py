"""The PEFT config of rep."""

from __future__ import annotations

import pytest

from loretta_cli.errors import ConfigError
from loretta_cli.tuners import LorettaRepConfig
from tests.tuners.adapters import adapted


def test_the_type_is_text_and_has_a_value_as_peft_reads_it() -> None:
    config = LorettaRepConfig()
    assert config.peft_type == "LORETTA_REP"
    assert config.peft_type.value == "LORETTA_REP"
    assert config.method == "rep"


def test_alpha_follows_a_bottleneck_of_the_user_so_that_the_scale_stays_two() -> None:
    config = adapted("bert", "rep", "standard", r=4).peft_config["default"]
    assert (config.r, config.alpha) == (4, 8.0)


def test_alpha_of_the_user_is_kept() -> None:
    config = adapted("bert", "rep", "standard", r=4, alpha=1.0).peft_config["default"]
    assert (config.r, config.alpha) == (4, 1.0)


@pytest.mark.parametrize("value", ["zero", "pissa", 3])
def test_an_unknown_initialisation_is_refused_with_the_known_ones(value: object) -> None:
    with pytest.raises(ConfigError, match=r"init_weights is .*expected true, false or 'noise-reduction'"):
        LorettaRepConfig(init_weights=value)  # type: ignore[arg-type]
