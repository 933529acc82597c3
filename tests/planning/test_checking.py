"""Checking many configs: what they share is read once."""

from __future__ import annotations

from pathlib import Path

import pytest

from loretta_cli.config import Config, load_config
from loretta_cli.errors import ConfigError, DataError
from loretta_cli.planning import checking
from loretta_cli.planning.checking import Checker
from tests.command_line import write_sentences
from tests.tiny_folders import save_tiny_encoder


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, object]:
    """Settings of a run that could be trained."""
    return {
        "model.name": str(save_tiny_encoder(tmp_path / "encoder")),
        "task.name": "sst2",
        "data.source": str(write_sentences(tmp_path / "data")),
        "adapter.method": "head",
    }


def config(asked: dict[str, object], **changes: object) -> Config:
    """The config with changes; two underscores stand for the dot."""
    return load_config(
        None, {**asked, **{key.replace("__", "."): value for key, value in changes.items()}}
    ).config


def test_a_fault_is_returned_and_found_once_for_all_that_share_it(
    asked: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = []
    original = checking.make_plan
    monkeypatch.setattr(checking, "make_plan", lambda asked: planned.append(asked) or original(asked))
    checker = Checker()
    nowhere = str(tmp_path / "nowhere")

    found = [
        checker.check(config(asked, data__source=nowhere, adapter__method=method))
        for method in ("rep", "lora")
    ]

    assert isinstance(found[0], DataError)
    assert found[0] is found[1]
    assert len(planned) == 1


def test_a_setting_of_the_training_that_a_plan_refuses_is_found(asked: dict[str, object]) -> None:
    checker = Checker()

    assert isinstance(checker.check(config(asked)), int)
    wrong = checker.check(config(asked, training__scheduler="constant", training__warmup=0.1))
    assert isinstance(wrong, ConfigError)


def test_positions_that_virtual_tokens_take_make_another_plan(asked: dict[str, object]) -> None:
    checker = Checker()

    head = checker.check(config(asked))
    prompt = checker.check(config(asked, adapter__method="prompt"))

    assert isinstance(head, int)
    assert isinstance(prompt, int)
    assert prompt > head


def test_a_fault_of_the_program_does_not_end_the_check(
    asked: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(config: Config) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(checking, "make_plan", broken)

    assert isinstance(Checker().check(config(asked)), ZeroDivisionError)
