"""The settings of a LoRA are read as PEFT reads them, and what they cannot be is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from peft import IA3Config, LoraConfig

from loretta_cli.artifacts.lora_settings import read_lora_settings
from loretta_cli.errors import ConfigError, RunError


def saved(folder: Path, **changes: Any) -> Path:
    """A config as PEFT writes it, with changes by hand."""
    LoraConfig(r=4, target_modules=["q_proj"], rank_pattern={"v_proj": 2}).save_pretrained(str(folder))
    file = folder / "adapter_config.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**settings, **changes}), encoding="utf-8")
    return folder


def test_what_peft_writes_is_read(tmp_path: Path) -> None:
    found = read_lora_settings(saved(tmp_path, lora_alpha=-1.5, modules_to_save=["lm_head"]))

    assert (found.r, found.lora_alpha, found.rank_pattern) == (4, -1.5, {"v_proj": 2})
    assert (found.target_modules, found.modules_to_save) == ({"q_proj"}, ["lm_head"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("r", "four"),
        ("r", -1),
        ("r", True),
        ("r", 2.5),
        ("lora_alpha", None),
        ("lora_alpha", float("nan")),
        ("lora_alpha", float("inf")),
        ("lora_dropout", 1),
        ("lora_dropout", "0.1"),
        ("rank_pattern", {"q_proj": 0}),
        ("rank_pattern", [2]),
        ("alpha_pattern", {"q_proj": None}),
        ("modules_to_save", "lm_head"),
        ("modules_to_save", [1]),
        ("target_modules", 3),
        ("base_model_name_or_path", ["a"]),
        ("task_type", 1),
    ],
)
def test_a_value_that_none_can_be_is_named(name: str, value: object, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=f"has {name}: .*; expected ") as caught:
        read_lora_settings(saved(tmp_path, **{name: value}))

    assert caught.value.exit_code == 2


def test_a_setting_that_is_not_known_is_refused_if_it_is_on(tmp_path: Path) -> None:
    assert read_lora_settings(saved(tmp_path, use_tora=False, enable_lora=None)).r == 4
    with pytest.raises(ConfigError, match="does not know: use_tora"):
        read_lora_settings(saved(tmp_path, use_tora=True))


def test_another_kind_of_adapter_is_refused(tmp_path: Path) -> None:
    IA3Config(target_modules=["k_proj"], feedforward_modules=[]).save_pretrained(str(tmp_path))

    with pytest.raises(ConfigError, match="is IA3"):
        read_lora_settings(tmp_path)


def test_what_peft_itself_refuses_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="PEFT cannot read"):
        read_lora_settings(saved(tmp_path, layers_to_transform=[1], target_modules=".*q_proj"))
