"""The PEFT config of adp."""

from __future__ import annotations

import pytest

from loretta_cli.errors import ConfigError
from loretta_cli.tuners import LorettaAdpConfig
from tests.tuners.adapters import adapted


def test_the_type_is_text_and_has_a_value_as_peft_reads_it() -> None:
    config = LorettaAdpConfig()
    assert config.peft_type == "LORETTA_ADP"
    assert config.peft_type.value == "LORETTA_ADP"
    assert config.method == "adp"


def test_the_scale_stays_one_for_a_bottleneck_of_the_user() -> None:
    config = adapted("bert", "adp", "standard", bottleneck=16).peft_config["default"]
    assert (config.bottleneck, config.alpha) == (16, 16.0)


def test_an_unknown_activation_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="activation is 'swish'; expected one of relu, gelu, silu, tanh"):
        LorettaAdpConfig(activation="swish")


def test_an_unknown_placement_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="placement is 'ffn'; expected one of sublayer, mlp"):
        LorettaAdpConfig(placement="ffn")


def test_noise_reduction_is_refused_with_where_it_belongs() -> None:
    with pytest.raises(ConfigError, match=r"adp knows true .* and false") as caught:
        LorettaAdpConfig(init_weights="noise-reduction")
    assert "rep" in caught.value.hint


def test_targets_of_the_user_keep_the_side_that_the_placement_gives_them() -> None:
    config = adapted("llama", "adp", target_modules=["gate_proj", "o_proj"]).peft_config["default"]
    assert config.target_modules == {"gate_proj", "o_proj"}
    assert config.input_modules == ["gate_proj", "up_proj"]

    chosen = adapted("llama", "adp", target_modules=["gate_proj"], input_modules=[]).peft_config["default"]
    assert chosen.input_modules == []


@pytest.mark.parametrize("owner", ["", "mlp.", "layers.0.mlp."])
def test_the_side_does_not_depend_on_how_much_of_a_name_is_given(owner: str) -> None:
    targets = [f"{owner}gate_proj", f"{owner}down_proj"]
    model = adapted("llama", "adp", placement="mlp", target_modules=targets)
    layer = model.get_base_model().model.layers[0].mlp

    assert layer.gate_proj.on_input["default"]
    assert not layer.down_proj.on_input["default"]
