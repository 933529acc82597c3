"""The rows that stand in the place of PEFT's: the same but for the method, and none of them lost."""

from __future__ import annotations

from peft import LoraConfig, VeraConfig

from loretta_cli.tuners import LorettaAdpConfig, LorettaRepConfig
from tests.peft_suite.rows import NO_VERA_ROW, our_rows

CASE = ("test_name", "model_id", "config_cls", "config_kwargs")
PAIR = ("test_name", "tuner_method", "config_cls", "config_kwargs_1", "config_kwargs_2")


def test_a_row_of_vera_is_kept_and_repeated_for_both_methods() -> None:
    settings = {"target_modules": ["lin0"], "modules_to_save": ["lin1"], "r": 8, "vera_dropout": 0.05}
    rows = [("MLP 1 LoRA", "MLP", LoraConfig, {}), ("MLP 1 VeRA", "MLP", VeraConfig, settings)]

    ours = {"target_modules": ["lin0"], "modules_to_save": ["lin1"], "dropout": 0.05}
    assert our_rows("test_training", CASE, rows) == [
        ("MLP 1 VeRA", "MLP", VeraConfig, settings),
        ("MLP 1 rep", "MLP", LorettaRepConfig, ours),
        ("MLP 1 adp", "MLP", LorettaAdpConfig, ours),
    ]


def test_the_settings_that_are_kept_make_a_config() -> None:
    settings = {"r": 8, "projection_prng_key": 255, "d_initial": 0.1, "save_projection": True, "bias": "none"}
    rows = our_rows("test_training", CASE[2:], [(VeraConfig, {**settings, "vera_dropout": 0.05})]) or []

    assert [config_class(**kwargs).bias for config_class, kwargs in rows] == ["none"] * 3


def test_a_list_of_classes_alone_works_too() -> None:
    rows = our_rows("test_set_requires_grad", ["config_cls"], [LoraConfig, VeraConfig])

    assert rows == [(VeraConfig,), (LorettaRepConfig,), (LorettaAdpConfig,)]


def test_our_methods_also_put_two_adapters_on_different_layers() -> None:
    same = {"target_modules": ["lin0"], "init_weights": False}
    rows = our_rows("test_merge", PAIR, [("VeRA Same", "vera", VeraConfig, same, same)]) or []

    assert [row[0] for row in rows] == ["VeRA Same", "rep Same", "adp Same", "rep Different", "adp Different"]
    assert rows[-1][1:3] == ("adp", LorettaAdpConfig)
    assert rows[-1][3:] == (same, {**same, "target_modules": ["lin1"]})


def test_a_test_without_a_row_of_vera_has_none_of_ours_but_for_those_named() -> None:
    assert our_rows("test_lora_only", ["config_cls"], [LoraConfig]) is None
    for test in NO_VERA_ROW:
        assert our_rows(test, ["config_cls"], [LoraConfig]) == [(LorettaRepConfig,), (LorettaAdpConfig,)]
