"""A LoRA as rep: exact at full rank on every family, and the error that is told where it is not."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import peft
import pytest
import torch
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict

from loretta_cli.errors import ConfigError
from loretta_cli.models.families import family_of
from loretta_cli.tt import choose_mode_shape, spread_rank, tt_svd
from loretta_cli.tt.contraction import contract_dense
from loretta_cli.tuners import lora_form
from loretta_cli.tuners.rep import RepLayer
from loretta_cli.tuners.rep.from_lora import RepForm, lora_updates, rep_form
from tests.tiny_models import FAMILIES, OTHERS, TASK_TYPES, tiny_model
from tests.tuners.adapters import logits

FULL = 10_000


def lora_on(family: str, **settings: Any) -> Any:
    """A tiny model with a random LoRA."""
    base = tiny_model(family)
    known = family_of(base.config.model_type)
    assert known is not None
    config = LoraConfig(
        **{
            "r": 4,
            "lora_alpha": 6,
            "target_modules": list(known.rep_targets),
            "task_type": TASK_TYPES.get(family, "CAUSAL_LM"),
            "fan_in_fan_out": known.keeps_weights_as_in_out,
            "init_lora_weights": False,
            **settings,
        }
    )
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return peft.get_peft_model(base, config).eval()


def as_rep(lora: Any, rank: int) -> RepForm:
    config = lora.active_peft_config
    tensors = get_peft_model_state_dict(lora, save_embedding_layers=False)
    return rep_form(config, lora_updates(config, tensors)[0], rank)


def put_on(family: str, form: RepForm, lora: Any) -> Any:
    """A tiny model with the rep adapter, and what the LoRA saved whole."""
    model = peft.get_peft_model(tiny_model(family), form.config).eval()
    saved = lora_updates(lora.active_peft_config, get_peft_model_state_dict(lora))[1]
    given = {**form.cores, **saved}
    own = get_peft_model_state_dict(model)
    assert set(given) <= set(own)
    assert {name for name in own if "loretta_rep" in name} == set(form.cores)
    set_peft_model_state_dict(model, {**own, **given})
    return model


def layers_of(model: Any) -> dict[str, RepLayer]:
    return {
        name.removeprefix("base_model.model."): module
        for name, module in model.named_modules()
        if isinstance(module, RepLayer)
    }


def dense_update(lora: Any, name: str) -> np.ndarray[Any, Any]:
    """``(in, out)``, by PEFT itself."""
    layer = lora.base_model.model.get_submodule(name)
    delta = layer.get_delta_weight("default")
    update: np.ndarray[Any, Any] = (delta if layer.fan_in_fan_out else delta.T).detach().double().numpy()
    return update


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_at_full_rank_rep_gives_the_logits_of_the_lora(family: str) -> None:
    lora = lora_on(family)
    form = as_rep(lora, FULL)

    model = put_on(family, form, lora)

    with lora.disable_adapter():
        base = logits(lora)
    assert (logits(lora) - base).abs().max() > 1e-3
    torch.testing.assert_close(logits(model), logits(lora), rtol=0, atol=1e-5)
    assert max(form.errors.values()) < 1e-6


@pytest.mark.parametrize(
    "settings",
    [
        {"use_rslora": True},
        {"rank_pattern": {"layers.0.self_attn.q_proj": 2}, "alpha_pattern": {"layers.1.self_attn.v_proj": 1}},
        {"target_modules": r".*layers\.1\..*q_proj"},
        {"target_modules": ["q_proj", "down_proj"], "layers_to_transform": [1]},
        {"target_modules": "all-linear", "exclude_modules": ["k_proj"]},
        {"modules_to_save": ["lm_head"]},
        {"r": 16, "lora_alpha": 16},
        {"r": 1},
        {"r": 7},
    ],
    ids=str,
)
def test_it_is_exact_with_every_setting_of_a_plain_lora(settings: dict[str, Any]) -> None:
    lora = lora_on("llama", **settings)
    form = as_rep(lora, FULL)

    model = put_on("llama", form, lora)

    torch.testing.assert_close(logits(model), logits(lora), rtol=0, atol=1e-5)
    assert model.active_peft_config.alpha == model.active_peft_config.r


@pytest.mark.parametrize("rank", [1, 2, 3, 5])
def test_the_error_told_is_that_of_the_dense_updates(rank: int) -> None:
    lora = lora_on("llama")
    form = as_rep(lora, rank)
    layers = layers_of(put_on("llama", form, lora))

    assert set(layers) == set(form.errors)
    for name, layer in layers.items():
        exact = dense_update(lora, name)
        ours = layer.get_delta_weight("default").detach().double().numpy().T
        expected = np.linalg.norm(exact - ours) / np.linalg.norm(exact)
        assert form.errors[name] == pytest.approx(expected, rel=1e-4)
        values = np.linalg.svd(exact, compute_uv=False)
        assert expected >= np.sqrt((values[rank:] ** 2).sum() / (values**2).sum()) - 1e-6


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_it_loses_less_than_truncating_a_and_b_one_by_one(rank: int) -> None:
    lora = lora_on("llama")
    config = lora.active_peft_config
    updates, _ = lora_updates(config, get_peft_model_state_dict(lora))
    form = rep_form(config, updates, rank)

    for name, pair in updates.items():
        apart = []
        for matrix in pair:
            shape = choose_mode_shape(*matrix.shape)
            cores = tt_svd(matrix, shape, spread_rank(shape.modes, rank))
            apart.append(contract_dense(cores, *matrix.shape).detach().numpy())
        exact = dense_update(lora, name)
        lost = np.linalg.norm(exact - apart[0] @ apart[1]) / np.linalg.norm(exact)
        assert form.errors[name] < lost


def test_more_rank_loses_no_more() -> None:
    lora = lora_on("llama")
    means = [sum(as_rep(lora, rank).errors.values()) for rank in (1, 2, 3, 4, 6, 8)]

    assert means == sorted(means, reverse=True)
    assert means[-1] < means[0] / 2


def test_a_rank_above_what_a_bond_can_use_becomes_the_highest_useful_one() -> None:
    form = as_rep(lora_on("llama"), FULL)

    assert form.rank < FULL
    assert as_rep(lora_on("llama"), form.rank).rank == form.rank
    assert as_rep(lora_on("llama"), 2).rank == 2


def test_the_bottleneck_is_no_wider_than_lora_and_tt_rank() -> None:
    assert [as_rep(lora_on("llama"), rank).config.r for rank in (2, 4, 100)] == [2, 4, 4]


def test_printed_modes_that_are_not_aligned_are_replaced() -> None:
    generator = torch.Generator().manual_seed(0)
    update = (torch.randn(1024, 16, generator=generator), torch.randn(16, 1024, generator=generator))
    config = LoraConfig(r=16, lora_alpha=16, target_modules=["x"])

    form = rep_form(config, {"x": update}, FULL)

    assert choose_mode_shape(16, 1024).boundary is None
    assert set(form.config.mode_shapes or ()) == {"16x1024", "1024x16"}
    assert form.errors["x"] < 1e-6


def test_a_layer_that_was_not_changed_stays_so() -> None:
    lora = lora_on("bert", init_lora_weights=True)

    form = as_rep(lora, 2)

    assert set(form.errors.values()) == {0.0}
    assert all(torch.isfinite(core).all() for core in form.cores.values())


def test_rep_as_a_lora_and_back_is_the_same() -> None:
    model = put_on("bert", as_rep(lora_on("bert"), 3), lora_on("bert"))
    config, tensors = lora_form(model)

    form = rep_form(config, lora_updates(config, tensors)[0], 3)

    assert max(form.errors.values()) < 1e-5


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"bias": "lora_only"}, "trained biases of the base model"),
        ({"target_modules": ["q_proj", "embed_tokens"]}, "not of a linear layer"),
    ],
)
def test_what_is_more_than_a_plain_lora_is_refused(settings: dict[str, Any], said: str) -> None:
    lora = lora_on("llama", **settings)

    with pytest.raises(ConfigError, match=said):
        as_rep(lora, 2)


@pytest.mark.parametrize("setting", ["lora_bias", "use_qalora", "layer_replication", "target_parameters"])
def test_settings_of_other_kinds_of_lora_are_refused(setting: str) -> None:
    lora = lora_on("llama")
    config = copy.copy(lora.active_peft_config)
    setattr(config, setting, [1])

    with pytest.raises(ConfigError, match=setting):
        lora_updates(config, get_peft_model_state_dict(lora))


@pytest.mark.parametrize("start", ["pissa", "olora", "loftq", "pissa_niter_4"])
def test_a_start_that_changes_the_base_model_is_refused(start: str) -> None:
    lora = lora_on("llama")
    config = copy.copy(lora.active_peft_config)
    config.init_lora_weights = start

    with pytest.raises(ConfigError, match="changes the base model"):
        lora_updates(config, get_peft_model_state_dict(lora))


def test_tensors_that_do_not_fit_the_config_are_refused() -> None:
    lora = lora_on("llama")
    config, tensors = lora.active_peft_config, get_peft_model_state_dict(lora)
    name = next(key for key in tensors if key.endswith("lora_B.weight"))

    with pytest.raises(ConfigError, match="only lora_A"):
        lora_updates(config, {key: value for key, value in tensors.items() if key != name})
    with pytest.raises(ConfigError, match="have the rank 4 and 3"):
        lora_updates(config, {**tensors, name: tensors[name][:, :3]})
    with pytest.raises(ConfigError, match="not finite"):
        lora_updates(config, {**tensors, name: tensors[name] * float("nan")})
    with pytest.raises(ConfigError, match="none of its modules_to_save"):
        lora_updates(config, {**tensors, "base_model.model.model.embed_tokens.weight": torch.zeros(3, 4)})
    with pytest.raises(ConfigError, match="no lora_A and lora_B"):
        lora_updates(config, {})
