"""Proposals for models of unknown family: what is printed, and that the settings to copy are right."""

from __future__ import annotations

import re
from typing import Any

import peft
import pytest
import yaml

from loretta_cli.tuners import LorettaAdpConfig, LorettaRepConfig
from loretta_cli.tuners.proposals import candidate_names, hint_for_targets
from loretta_cli.tuners.targets import TargetModulesError, insert_adapter
from tests.tiny_models import TwoLayerNet, token_batch
from tests.tuners.adapters import CONFIGS
from tests.unknown_models import unknown_model

PROPOSED = {
    "codegen": (["qkv_proj"], ["out_proj", "fc_out"], ["fc_in", "fc_out"]),
    "funnel": (["q_head", "v_head"], ["post_proj", "linear_2"], ["linear_1", "linear_2"]),
    "gpt_bigcode": (["c_attn"], ["c_proj"], ["c_fc", "mlp.c_proj"]),
    "granite": (["q_proj", "v_proj"], ["o_proj", "down_proj"], ["gate_proj", "up_proj", "down_proj"]),
    "roformer": (
        ["query", "value"],
        ["output.dense"],
        ["intermediate.dense", "0.output.dense", "1.output.dense"],
    ),
    "xglm": (["q_proj", "v_proj"], ["out_proj", "fc2"], ["fc1", "fc2"]),
    "bart": (["q_proj", "v_proj"], ["out_proj", "fc2"], ["fc1", "fc2"]),
    "xlm": (["q_lin", "v_lin"], ["out_lin", "lin2"], ["lin1", "lin2"]),
}
"""Targets of rep, and of adp in the placements sublayer and mlp."""
SETTING = re.compile(r"--set 'adapter\.target_modules=(\[.+?\])'(?: --set adapter\.placement=(\w+))?")


def hint(model: Any, method: str) -> str:
    """The hint of the error for a model whose targets were not given."""
    with pytest.raises(TargetModulesError) as caught:
        peft.get_peft_model(model, CONFIGS[method]())
    text: str = caught.value.hint
    return text


def settings(text: str) -> list[tuple[list[str], str | None]]:
    """Targets and placement of every setting to copy, read as the command line reads them."""
    return [(yaml.safe_load(targets), placement or None) for targets, placement in SETTING.findall(text)]


def layers_of(model: Any) -> dict[str, Any]:
    return {
        name.removeprefix("base_model.model."): module
        for name, module in model.named_modules()
        if type(module).__name__ in ("AdpLayer", "RepLayer")
    }


@pytest.mark.parametrize("name", PROPOSED)
def test_the_hint_holds_the_setting_to_copy(name: str) -> None:
    rep, sublayer, mlp = PROPOSED[name]
    assert settings(hint(unknown_model(name), "rep")) == [(rep, None)]
    assert settings(hint(unknown_model(name), "adp")) == [(sublayer, "sublayer"), (mlp, "mlp")]


@pytest.mark.parametrize("name", PROPOSED)
def test_the_settings_are_accepted_and_adapt_every_block(name: str) -> None:
    for targets, _ in settings(hint(unknown_model(name), "rep")):
        model = peft.get_peft_model(unknown_model(name), LorettaRepConfig(target_modules=targets))
        assert len(layers_of(model)) >= 2
    for targets, placement in settings(hint(unknown_model(name), "adp")):
        config = LorettaAdpConfig(target_modules=targets, placement=placement)
        model = peft.get_peft_model(unknown_model(name), config)
        assert len(layers_of(model)) >= 4


def test_the_hint_says_which_layers_their_sizes_and_how_many() -> None:
    lines = hint(unknown_model("codegen"), "rep").split("\n")
    assert lines[1:5] == [
        "  query, key and value in one: transformer.h.*.attn.qkv_proj (48x144, 2 layers)",
        "  attention output: transformer.h.*.attn.out_proj (48x48, 2 layers)",
        "  FFN input: transformer.h.*.mlp.fc_in (48x192, 2 layers)",
        "  FFN output: transformer.h.*.mlp.fc_out (192x48, 2 layers)",
    ]
    assert "all-linear" in lines[-1]


def test_layers_of_several_sizes_and_places_are_all_named() -> None:
    text = hint(unknown_model("bart", decoder_ffn_dim=80), "rep")
    assert (
        "  FFN input: model.encoder.layers.*.fc1, model.decoder.layers.*.fc1 (48x96, 48x80, 4 layers)" in text
    )
    assert "decoder.layers.*.encoder_attn.q_proj" in text


def test_the_hint_is_the_same_every_time() -> None:
    assert hint(unknown_model("roformer"), "adp") == hint(unknown_model("roformer"), "adp")


@pytest.mark.parametrize("method", CONFIGS)
@pytest.mark.parametrize("name", ["mamba", "rwkv"])
def test_where_nothing_is_found_the_linear_layers_are_listed(method: str, name: str) -> None:
    model = unknown_model(name)
    text = hint(model, method)
    assert settings(text) == []
    for layer in candidate_names(model):
        assert layer in text
    assert "all-linear" in text


def test_a_placement_of_which_only_a_part_is_found_is_offered_with_that_part() -> None:
    assert settings(hint(unknown_model("mixtral"), "adp")) == [(["o_proj"], "sublayer")]
    assert settings(hint(unknown_model("xlnet"), "adp")) == [
        (["layer_2"], "sublayer"),
        (["layer_1", "layer_2"], "mlp"),
    ]
    assert settings(hint(unknown_model("xlnet"), "rep")) == []


def test_a_list_too_long_to_be_checked_is_not_offered() -> None:
    deep = unknown_model("roformer", num_hidden_layers=12)
    assert settings(hint(deep, "adp")) == [(["output.dense"], "sublayer")]


def test_the_proposal_is_the_same_beside_an_adapter() -> None:
    model = peft.get_peft_model(unknown_model("codegen"), LorettaRepConfig(target_modules=["qkv_proj"]))
    text = hint_for_targets(model.get_base_model(), "rep")
    assert text == hint(unknown_model("codegen"), "rep")


def test_methods_of_peft_get_the_proposal_too() -> None:
    with pytest.raises(TargetModulesError, match="'roformer' is not known") as caught:
        insert_adapter(unknown_model("roformer"), peft.LoraConfig(task_type="SEQ_CLS"))
    assert settings(caught.value.hint) == [(["query", "value"], None)]


def test_in_the_mlp_placement_of_an_unknown_model_adapters_stand_before_the_first_layers() -> None:
    config = LorettaAdpConfig(target_modules=["fc_in", "fc_out"], placement="mlp")
    model = peft.get_peft_model(unknown_model("codegen", device="cpu"), config)
    sides = {name: layer.on_input["default"] for name, layer in layers_of(model).items()}
    assert sides == {
        f"transformer.h.{block}.mlp.{name}": name == "fc_in"
        for block in (0, 1)
        for name in ("fc_in", "fc_out")
    }
    assert config.input_modules == ["fc_in"]
    assert model(**token_batch()).logits.isfinite().all()


def test_in_the_sublayer_placement_of_an_unknown_model_adapters_stand_behind_every_layer() -> None:
    for placement in (None, "sublayer"):
        config = LorettaAdpConfig(target_modules=["fc_in", "fc_out"], placement=placement)
        model = peft.get_peft_model(unknown_model("codegen"), config)
        assert not any(layer.on_input["default"] for layer in layers_of(model).values())


def test_the_mlp_placement_is_refused_where_no_side_is_known() -> None:
    with pytest.raises(TargetModulesError, match="placement is mlp") as caught:
        peft.get_peft_model(TwoLayerNet(), LorettaAdpConfig(target_modules=["wide"], placement="mlp"))
    assert "adapter.placement" in caught.value.hint
