"""Registration with PEFT."""

from __future__ import annotations

import peft
import pytest
from peft import mapping

from loretta_cli.tuners import LorettaAdpConfig, LorettaAdpModel, LorettaRepConfig, LorettaRepModel
from loretta_cli.tuners.peft_types import LorettaPeftType
from loretta_cli.tuners.register import register_peft_types

TABLES = ("PEFT_TYPE_TO_CONFIG_MAPPING", "PEFT_TYPE_TO_TUNER_MAPPING", "PEFT_TYPE_TO_PREFIX_MAPPING")


def test_registering_again_changes_nothing() -> None:
    before = {table: dict(getattr(mapping, table)) for table in TABLES}
    register_peft_types()
    assert {table: dict(getattr(mapping, table)) for table in TABLES} == before


@pytest.mark.parametrize("key", ["LORETTA_REP", LorettaPeftType.LORETTA_REP], ids=["text", "member"])
def test_peft_finds_the_type_by_its_text_and_by_the_member(key: str) -> None:
    assert mapping.PEFT_TYPE_TO_CONFIG_MAPPING[key] is LorettaRepConfig
    assert mapping.PEFT_TYPE_TO_TUNER_MAPPING[key] is LorettaRepModel
    assert mapping.PEFT_TYPE_TO_PREFIX_MAPPING[key] == "loretta_rep_"


def test_both_types_are_registered() -> None:
    assert mapping.PEFT_TYPE_TO_TUNER_MAPPING["LORETTA_ADP"] is LorettaAdpModel
    config = peft.get_peft_config({"peft_type": "LORETTA_ADP", "bottleneck": 16})
    assert isinstance(config, LorettaAdpConfig)
    assert config.bottleneck == 16


def test_a_name_that_another_package_took_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mapping.PEFT_TYPE_TO_CONFIG_MAPPING, "LORETTA_ADP", peft.LoraConfig)
    with pytest.raises(RuntimeError, match="LORETTA_ADP is already taken"):
        register_peft_types()
