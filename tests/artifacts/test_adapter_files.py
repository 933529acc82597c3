"""Adapter folders that PEFT never gets to see."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loretta_cli.artifacts.adapter_files import check_adapter_files
from loretta_cli.errors import RunError

SETTINGS, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def written(
    folder: Path, settings: str | None = '{"peft_type": "LORA"}', weights: str | None = WEIGHTS
) -> Path:
    if settings is not None:
        (folder / SETTINGS).write_text(settings, encoding="utf-8")
    if weights is not None:
        (folder / weights).write_bytes(b"")
    return folder


def test_a_whole_adapter_is_let_through(tmp_path: Path) -> None:
    check_adapter_files(written(tmp_path))


@pytest.mark.parametrize("settings", [None, "", "{", "[" * 20000])
def test_settings_that_are_no_json_are_refused(settings: str | None, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"Cannot read the adapter's settings .*adapter_config\.json"):
        check_adapter_files(written(tmp_path, settings))


@pytest.mark.parametrize("settings", ["[]", "null", "{}", '{"peft_type": null}', '{"peft_type": ["LORA"]}'])
def test_settings_of_no_adapter_are_refused(settings: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="says no peft_type"):
        check_adapter_files(written(tmp_path, settings))


def test_a_pickle_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=re.escape("adapter_model.bin, a pickle, which may run code")):
        check_adapter_files(written(tmp_path, weights="adapter_model.bin"))


def test_missing_tensors_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=re.escape(f"has no {WEIGHTS}")):
        check_adapter_files(written(tmp_path, weights=None))
