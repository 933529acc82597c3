"""Which layers are adapted, and the errors where the question has no answer."""

from __future__ import annotations

import re
from typing import Any

import peft
import pytest
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from loretta_cli.config import AdapterSettings
from loretta_cli.errors import ConfigError, LorettaError
from loretta_cli.models.inspection import head_modules
from loretta_cli.tuners.proposals import candidate_names
from loretta_cli.tuners.settings import make_peft_config
from loretta_cli.tuners.targets import TargetModulesError, insert_adapter
from tests.tiny_models import UNKNOWN, TwoLayerNet, tiny_model
from tests.tuners.adapters import CONFIGS, adapted
from tests.unknown_models import unknown_model

both_methods = pytest.mark.parametrize("method", CONFIGS)


def adapted_names(model: Any) -> list[str]:
    """Names of the adapted layers below the base model."""
    return [
        name.removeprefix("base_model.model.")
        for name, module in model.named_modules()
        if type(module).__name__ in ("AdpLayer", "RepLayer")
    ]


@both_methods
@pytest.mark.parametrize("base", [TwoLayerNet, lambda: tiny_model(UNKNOWN)], ids=["plain", UNKNOWN])
def test_an_unknown_family_without_targets_is_refused_with_the_candidates(method: str, base: Any) -> None:
    model = base()
    with pytest.raises(TargetModulesError, match=r"is not known.*specify `target_modules`") as caught:
        peft.get_peft_model(model, CONFIGS[method]())
    for name in (
        ("wide", "narrow")
        if isinstance(model, TwoLayerNet)
        else ("qkv_proj", "out_proj", "fc_in", "fc_out", "lm_head")
    ):
        assert name in caught.value.hint


@both_methods
def test_a_list_of_which_a_part_does_not_exist_is_refused_naming_that_part(method: str) -> None:
    with pytest.raises(TargetModulesError, match=r"Only a part of .*\['values'\] not found") as caught:
        adapted("bert", method, target_modules=["query", "values"])
    assert "query, value" in caught.value.hint


@both_methods
def test_a_list_of_which_nothing_exists_is_refused(method: str) -> None:
    with pytest.raises(TargetModulesError, match=r"None of .*\['k', 'q'\] not found"):
        adapted("bert", method, target_modules=["q", "k"])


def test_the_error_is_one_of_ours_and_a_value_error_as_peft_raises() -> None:
    assert issubclass(TargetModulesError, LorettaError)
    assert issubclass(TargetModulesError, ValueError)


@both_methods
def test_a_target_that_is_no_linear_layer_is_refused_with_its_type(method: str) -> None:
    with pytest.raises(TargetModulesError, match="word_embeddings is a Embedding"):
        adapted("bert", method, target_modules=["word_embeddings"])


@both_methods
def test_a_name_matches_whole_parts_of_a_module_name_only(method: str) -> None:
    with pytest.raises(TargetModulesError, match=r"\['uery'\] not found"):
        adapted("bert", method, target_modules=["uery"])


@both_methods
def test_a_regular_expression_is_matched_as_peft_does(method: str) -> None:
    model = adapted("bert", method, target_modules=r".*layer\.1\.attention\.self\.(query|key)")
    expected = ["bert.encoder.layer.1.attention.self.query", "bert.encoder.layer.1.attention.self.key"]
    assert adapted_names(model) == expected


@both_methods
@pytest.mark.parametrize(
    ("family", "count"),
    [
        ("llama", 2 * 7),
        ("bert", 2 * 6 + 1),  # the pooler is no part of the head
        ("llama-classifier", 2 * 7),
        ("gpt2", 2 * 4),
        ("t5", 2 * 6 + 2 * 10),
        ("t5-gated", 2 * 7 + 2 * 11),
        ("t5-classifier", 2 * 6 + 2 * 10),
        (UNKNOWN, 2 * 4),
    ],
)
def test_all_linear_leaves_out_the_head(method: str, family: str, count: int) -> None:
    names = adapted_names(adapted(family, method, target_modules="all-linear"))
    assert len(names) == count
    assert not any(name.startswith(("lm_head", "score", "class")) for name in names)


@both_methods
@pytest.mark.parametrize(
    ("family", "layers"),
    [
        (family, layers)
        for family in (
            *("bert", "roberta", "deberta", "llama"),
            *("deberta-v2", "distilbert", "electra", "modernbert", "mpnet"),
        )
        for layers in (1, [0])
    ],
)
def test_only_the_layers_to_transform_are_adapted(method: str, family: str, layers: int | list[int]) -> None:
    every = adapted_names(adapted(family, method))
    chosen = adapted_names(adapted(family, method, layers_to_transform=layers))
    index = layers if isinstance(layers, int) else layers[0]
    assert chosen == [name for name in every if f".{index}." in name]
    assert 0 < len(chosen) < len(every)


@both_methods
@pytest.mark.parametrize("family", ["bert", "distilbert", "gpt2", "modernbert"])
def test_a_layer_that_the_model_does_not_have_is_refused(method: str, family: str) -> None:
    with pytest.raises(TargetModulesError, match=r"names the layers \[2\], but the last layer .* is 1\."):
        adapted(family, method, target_modules="all-linear", layers_to_transform=[0, 2])


@pytest.mark.parametrize("layers", [0, [1]])
def test_single_layers_of_a_model_with_one_shared_block_are_refused(layers: int | list[int]) -> None:
    for method in CONFIGS:
        with pytest.raises(TargetModulesError, match="all layers of albert share one block"):
            adapted("albert", method, layers_to_transform=layers)
    lora = peft.LoraConfig(target_modules=["query"], layers_to_transform=layers)
    with pytest.raises(TargetModulesError, match="all layers of albert share one block"):
        insert_adapter(tiny_model("albert"), lora)


@pytest.mark.parametrize(("family", "target"), [("bert", "query"), ("distilbert", "q_lin")])
def test_a_layer_that_the_model_does_not_have_is_refused_for_other_methods_too(
    family: str, target: str
) -> None:
    lora = peft.LoraConfig(target_modules=[target], layers_to_transform=[0, 2])
    with pytest.raises(TargetModulesError, match=r"names the layers \[2\]"):
        insert_adapter(tiny_model(family), lora)


@both_methods
def test_excluded_modules_are_left_alone(method: str) -> None:
    model = adapted(
        "bert", method, target_modules=["query", "value"], exclude_modules=["0.attention.self.value"]
    )
    names = adapted_names(model)
    assert len(names) == 3
    assert "bert.encoder.layer.0.attention.self.value" not in names


def test_the_placement_keeps_its_own_exclusions_unless_the_user_gives_some() -> None:
    names = adapted_names(adapted("bert", "adp", placement="mlp"))
    assert "bert.encoder.layer.0.attention.output.dense" not in names
    mine = adapted_names(adapted("bert", "adp", placement="mlp", exclude_modules=["intermediate.dense"]))
    assert "bert.encoder.layer.0.attention.output.dense" in mine
    assert "bert.encoder.layer.0.intermediate.dense" not in mine


@both_methods
def test_a_second_adapter_may_have_other_targets(method: str) -> None:
    model = adapted("bert", method, target_modules=["query"])
    model.add_adapter("second", CONFIGS[method](task_type="SEQ_CLS", target_modules=["query", "key"]))
    assert len(adapted_names(model)) == 4
    first = [name for name, _ in model.named_parameters() if "loretta" in name and ".default." in name]
    assert first
    assert all(".query." in name for name in first)


def test_candidates_are_the_last_names_of_the_linear_layers() -> None:
    assert candidate_names(TwoLayerNet()) == ["narrow", "wide"]
    assert candidate_names(nn.Sequential(nn.ReLU())) == []


@both_methods
def test_candidates_are_the_same_after_an_adapter_was_added(method: str) -> None:
    expected = ["classifier", "dense", "key", "query", "value"]
    assert candidate_names(tiny_model("bert")) == expected
    assert candidate_names(adapted("bert", method, "paper").get_base_model()) == expected


@pytest.mark.parametrize("config", [*CONFIGS.values(), peft.LoraConfig], ids=[*CONFIGS, "lora"])
@pytest.mark.parametrize("name", ["xlnet", "xlm", "roformer"])
def test_all_linear_leaves_out_the_head_of_a_classifier_of_unknown_family(name: str, config: Any) -> None:
    """PEFT looks for heads of two names; the others, too, are trained whole."""
    base = unknown_model(name)
    head = tuple(head_modules(base))
    model = insert_adapter(base, config(task_type="SEQ_CLS", target_modules="all-linear"))
    adapted_layers = [layer for layer, module in model.named_modules() if isinstance(module, BaseTunerLayer)]
    assert adapted_layers
    assert not any(layer.removeprefix("base_model.model.").startswith(head) for layer in adapted_layers)
    trained = {full for full, value in model.named_parameters() if value.requires_grad}
    for module in head:
        assert any(f"{module}.modules_to_save.default" in full for full in trained)


@both_methods
def test_all_linear_in_chosen_layers_only(method: str) -> None:
    """T5's blocks have numbered parts; the layer is the block, in the encoder and in the decoder."""
    names = adapted_names(adapted("t5", method, target_modules="all-linear", layers_to_transform=[1]))
    assert len(names) == 6 + 10
    assert all(".block.1." in name for name in names)


@pytest.mark.parametrize("config", [*CONFIGS.values(), peft.LoraConfig], ids=[*CONFIGS, "lora"])
def test_a_layer_of_t5_is_a_block_of_the_encoder_and_of_the_decoder(config: Any) -> None:
    model = insert_adapter(
        tiny_model("t5"),
        config(task_type="SEQ_2_SEQ_LM", target_modules=["q", "v"], layers_to_transform=[0]),
    )
    layers = [name for name, module in model.named_modules() if isinstance(module, BaseTunerLayer)]
    assert len(layers) == 2 + 4
    assert all(".block.0." in name for name in layers)


def test_lora_takes_chosen_layers_with_a_list_of_names_only() -> None:
    settings = AdapterSettings(method="lora", target_modules="all-linear", layers_to_transform=[1])
    with pytest.raises(ConfigError, match="with a list in") as caught:
        make_peft_config(settings, task_type="CAUSAL_LM", model_type="llama")
    assert "adapter.layers_to_transform" in caught.value.hint


@pytest.mark.parametrize(
    ("targets", "hint"),
    [
        ("all-liner", "Did you mean 'all-linear'?"),
        ("all_linear", "Did you mean 'all-linear'?"),
        ("linear", "Did you mean 'all-linear'?"),
        ("q_proj", r"For the layers of that name write [q_proj]."),
        (r".*\.nothing", "A single text is a regular expression"),
    ],
)
@pytest.mark.parametrize("config", [*CONFIGS.values(), peft.LoraConfig], ids=[*CONFIGS, "lora"])
def test_a_text_that_matches_nothing_is_refused_with_what_may_be_meant(
    config: Any, targets: str, hint: str
) -> None:
    with pytest.raises(TargetModulesError, match=re.escape(f"adapter.target_modules={targets}")) as caught:
        insert_adapter(tiny_model("llama"), config(target_modules=targets))
    assert hint in caught.value.hint
    assert "down_proj" in caught.value.hint


def test_a_text_that_is_no_regular_expression_is_refused() -> None:
    with pytest.raises(TargetModulesError, match=r"adapter\.target_modules=\*q is no regular expression"):
        insert_adapter(tiny_model("llama"), CONFIGS["rep"](target_modules="*q"))


@both_methods
@pytest.mark.parametrize("target", ["self_attn.out_proj", "linear1"])
def test_layers_that_torch_does_not_call_are_refused(method: str, target: str) -> None:
    model = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

    with pytest.raises(TargetModulesError, match=f"{target} stands in a torch.nn.*have no effect") as caught:
        peft.get_peft_model(model, CONFIGS[method](target_modules=[target]))
    assert "exclude_modules" in caught.value.hint


def test_a_misspelt_target_is_answered_with_the_nearest_layer() -> None:
    with pytest.raises(TargetModulesError) as caught:
        adapted("llama", "rep", target_modules=["q_prj", "v_proj"])

    assert caught.value.hint.startswith("Did you mean 'q_proj'? ")
