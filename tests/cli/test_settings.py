"""``loretta settings``, and settings that are given as options."""

from __future__ import annotations

import pytest

from loretta_cli.config import load_config, setting_fields
from tests.command_line import loretta


def keys(*arguments: str) -> list[str]:
    outcome = loretta("settings", *arguments, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    return [one["key"] for one in outcome.document["settings"]]


def test_every_setting_is_listed_with_what_it_takes() -> None:
    assert keys() == list(setting_fields())
    outcome = loretta("settings")
    for key, field in setting_fields().items():
        assert f"\n{key} " in f"\n{outcome.stdout}", key
        assert str(field.description) in outcome.stdout
    assert "central or one-sided" in outcome.stdout


def test_what_is_listed_as_a_default_is_one() -> None:
    loaded = load_config(None, {}, ()).config
    for one in loretta("settings", "--json").document["settings"]:
        value: object = loaded
        for name in one["key"].split("."):
            value = getattr(value, name)
        assert one["default"] == value, one["key"]


@pytest.mark.parametrize(
    ("word", "some", "count"),
    [
        ("zo", "zo.queries", None),
        ("zo.queries", "zo.queries", 1),
        ("data.columns", "data.columns.label", 7),
        ("checkpointing", "training.gradient_checkpointing", 1),
        ("lr", "training.learning_rate", 1),
        ("num-train-epochs", "training.epochs", 1),
    ],
)
def test_a_word_chooses(word: str, some: str, count: int | None) -> None:
    found = keys(word)
    assert some in found
    assert count is None or len(found) == count
    assert word != "zo" or all(key.startswith("zo.") for key in found)


def test_a_word_that_nothing_has_is_refused() -> None:
    outcome = loretta("settings", "xyzzy")
    assert outcome.exit_code == 2
    assert "No setting has 'xyzzy' in its key or description." in outcome.stderr


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (("--epochs", "3"), "--set training.epochs=3"),
        (("--learning-rate=1e-3",), "--set training.learning_rate=1e-3"),
        (("--lr", "0.1"), "--set training.learning_rate=0.1"),
        (("--batch_size",), "--set training.batch_size=VALUE"),
        (("--num-train-epochs", "2"), "--set training.epochs=2"),
        (("--lora-alpha", "16"), "--set adapter.alpha=16"),
        (("--eopchs", "2"), "--set training.epochs=2"),
    ],
)
@pytest.mark.parametrize("verb", ["train", "compare"])
def test_a_setting_that_is_given_as_an_option_is_named(verb: str, given: tuple[str, ...], meant: str) -> None:
    outcome = loretta(verb, "quickstart", *given, "--json")

    assert outcome.exit_code == 2
    message = outcome.document["error"]["message"]
    assert message == f"No such option: {given[0].partition('=')[0]}; it is a setting: {meant}"
    shown, _, value = meant.removeprefix("--set ").partition("=")
    assert shown in setting_fields()
    if value != "VALUE":
        load_config(None, {}, (f"{shown}={value}",))


def test_a_misspelt_option_is_still_an_option() -> None:
    outcome = loretta("train", "quickstart", "--gradent", "zo", "--json")
    assert outcome.document["error"]["message"] == "No such option: --gradent (Possible options: --gradient)"
    assert "setting" not in loretta("train", "--xyzzy", "--json").document["error"]["message"]
