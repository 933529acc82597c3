"""Faults become sentences with the nearest right name."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from loretta_cli.config.faults import Fault, Given, config_error, keys_below, unknown_key, value_faults
from loretta_cli.config.schema import Config


def faults_of(nested: dict, given: dict[str, Given]) -> list[Fault]:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate(nested)
    return value_faults(caught.value, given)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("training.sed", "training.seed"),
        ("training.bach_size", "training.batch_size"),
        ("data.columns.txt", "data.columns.text"),
        ("tt_rank", "adapter.tt_rank"),
        ("training.tt_rank", "adapter.tt_rank"),
        ("adapter.learning_rate", "training.learning_rate"),
        ("model.learningrate", "training.learning_rate"),
        ("data.label", "data.columns.label"),
        ("data.colums", "data.columns"),
        ("trainning", "training"),
        ("adaptor.tt_rank", "adapter.tt_rank"),
        ("adaptor.tt_rnk", "adapter.tt_rank"),
        ("training.lr", "training.learning_rate"),
        ("adapter.r", "adapter.bottleneck"),
        ("training.per_device_train_batch_size", "training.batch_size"),
        ("zo.eps", "zo.epsilon"),
        ("training.queries", "zo.queries"),
    ],
)
def test_an_unknown_key_names_the_one_that_was_meant(key, meant):
    fault = unknown_key(key, "--set")
    assert fault.sentence == f"{key}: unknown key (--set)"
    assert fault.advice == f"Did you mean '{meant}'?"


def test_a_name_in_two_sections_is_offered_twice():
    assert unknown_key("name", "flag").advice == "Did you mean 'model.name' or 'task.name'?"


def test_a_key_like_no_other_gets_the_list_of_its_section():
    assert unknown_key("output.wibble", "flag").advice == "Known keys of output: dir."
    assert unknown_key("wibble.x", "flag").advice == (
        "Known sections: adapter, data, model, output, task, training, zo."
    )


def test_a_key_below_a_single_setting_is_explained():
    fault = unknown_key("training.seed.first", "--set")
    assert fault.sentence == (
        "training.seed.first (--set): training.seed holds one value and has no keys below it"
    )


def test_an_item_of_a_list_is_told_to_be_given_with_the_others():
    assert unknown_key("task.options.0", "--set").advice == "Give the whole list: task.options=[..., ...]."
    assert unknown_key("training.seed.first", "--set").advice == ""


def test_keys_below_stop_at_groups():
    assert keys_below("data")[:1] == ["columns"]
    assert "text" not in keys_below("data")
    assert keys_below("") == ["model", "adapter", "task", "data", "training", "zo", "output"]


def test_a_wrong_value_says_what_was_found_where_and_what_was_expected():
    given = {"training.batch_size": Given("many", "recipe mine.yaml")}
    [fault] = faults_of({"training": {"batch_size": "many"}}, given)
    assert fault.sentence == (
        "training.batch_size: found 'many' (recipe mine.yaml), expected a whole number above 0"
    )
    assert fault.about == "training.batch_size: Training rows in one forward pass, of all processes together."


def test_the_members_of_a_union_give_one_fault():
    value = {"768x64": ["a", 0, -3]}
    given = {"adapter.tt_rank": Given([0, "a"], "flag"), "adapter.mode_shapes": Given(value, "flag")}
    found = faults_of({"adapter": {"tt_rank": [0, "a"], "mode_shapes": value}}, given)
    assert [fault.sentence.partition(":")[0] for fault in found] == ["adapter.tt_rank", "adapter.mode_shapes"]


def test_a_misspelt_choice_gets_a_did_you_mean():
    [fault] = faults_of({"model": {"dtype": "bf16"}}, {"model.dtype": Given("bf16", "flag")})
    assert fault.advice == "Did you mean 'bfloat16'?"


@pytest.mark.parametrize(("key", "value"), [("name", 5), ("revision", 1234567), ("name", True)])
def test_a_number_for_text_is_told_to_use_quotes(key, value):
    [fault] = faults_of({"model": {key: value}}, {f"model.{key}": Given(value, "flag")})
    assert fault.advice == "Put the value in quotes to make it text."


def test_numbers_among_labels_are_told_to_use_quotes():
    [fault] = faults_of({"data": {"labels": [0, 1]}}, {"data.labels": Given([0, 1], "flag")})
    assert fault.advice == "Put the value in quotes to make it text."


def test_mode_shapes_that_miss_the_size_name_both_numbers():
    shapes = {"768x64": [8, 8, 8], "64x64": [64, 64], "10x10": [2, 5]}
    given = {"adapter.mode_shapes": Given(shapes, "flag")}
    [fault] = faults_of({"adapter": {"mode_shapes": shapes}}, given)
    assert fault.sentence == (
        "adapter.mode_shapes (flag): "
        "the modes [8, 8, 8] of 768x64 multiply to 512, expected 768 x 64 = 49152; "
        "the modes [2, 5] of 10x10 multiply to 10, expected 10 x 10 = 100"
    )


def test_one_fault_is_one_sentence_with_its_advice_as_hint():
    error = config_error([Fault("a: wrong", "Do b.", "a: what it is.")])
    assert (error.message, error.hint, error.exit_code) == ("a: wrong.", "Do b.", 2)


def test_one_fault_without_advice_has_the_description_as_hint():
    assert config_error([Fault("a: wrong", about="a: what it is.")]).hint == "a: what it is."


def test_several_faults_are_a_heading_and_a_line_each():
    error = config_error([Fault("a: wrong", "Do b."), Fault("c: wrong")])
    assert error.message == "2 settings are wrong:\n  - a: wrong. Do b.\n  - c: wrong."
    assert error.hint
