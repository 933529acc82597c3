"""How messages name values and what settings take."""

from __future__ import annotations

import pytest

from loretta_cli.config.schema import setting_fields
from loretta_cli.config.wording import choices, expected, shown, takes_text


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        (True, "true"),
        (5, "5"),
        ("5", "'5'"),
        ([1, 2], "[1, 2]"),
    ],
)
def test_a_value_is_quoted_in_the_words_of_yaml(value, words):
    assert shown(value) == words


def test_a_number_that_python_will_not_write_is_described():
    assert shown(16**5000) == "a number that is too long to show"


def test_long_values_are_cut():
    assert len(shown("x" * 1000)) < 80
    assert len(shown(list(range(1000)))) < 80


def test_a_list_that_holds_itself_can_be_shown():
    endless: list[object] = []
    endless.append(endless)
    assert shown(endless).startswith("[[")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("model.name", "text"),
        ("adapter.bias", "true or false"),
        ("adapter.head", "tt, dense or frozen"),
        ("adapter.tt_rank", "a whole number above 0 or a list of whole numbers above 0"),
        ("adapter.target_modules", "text or a list of texts"),
        (
            "adapter.layers_to_transform",
            "a whole number of 0 or more or a list of whole numbers of 0 or more",
        ),
        ("training.batch_size", "a whole number above 0"),
        ("training.gradient", "backprop or zo"),
        ("zo.rollback", "a number above 1"),
        ("data.validation_fraction", "a number above 0 and below 1"),
        ("data.labels", "a list of two or more different texts"),
    ],
)
def test_what_a_setting_takes_is_said_in_words(key, words):
    assert expected(setting_fields()[key]) == words


def test_every_setting_can_say_what_it_takes():
    for key, field in setting_fields().items():
        words = expected(field)
        assert words, key
        assert (words == "true or false") == (key in BOOLEANS), key


BOOLEANS = {
    "model.trust_remote_code",
    "adapter.bias",
    "adapter.train_norms",
    "task.calibration",
    "task.shared_head",
    "training.gradient_checkpointing",
    "training.shard_base",
    "zo.normalize",
}


def test_choices_are_those_of_the_schema():
    assert choices(setting_fields()["adapter.activation"]) == ["relu", "gelu", "silu", "tanh"]
    assert choices(setting_fields()["model.name"]) == []


def test_settings_of_any_text_are_told_from_the_others():
    takers = {key for key, field in setting_fields().items() if takes_text(field)}
    assert takers == {
        "model.name",
        "model.revision",
        "adapter.method",
        "adapter.target_modules",
        "adapter.exclude_modules",
        "task.name",
        "task.prompt",
        "task.masked_prompt",
        "task.cut",
        "data.source",
        *(f"data.columns.{role}" for role in ("text", "text_pair", "label", "options")),
        *(f"data.columns.{role}" for role in ("prompt", "completion", "messages")),
        "output.dir",
    }
    assert takes_text(setting_fields()["data.labels"], in_lists=True)
    assert not takes_text(setting_fields()["adapter.tt_rank"], in_lists=True)
