"""Recipe, ``--set`` and flags become one config, or one error with every fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loretta_cli.config.loading import contradictions, load_config, read_run_config, write_config
from loretta_cli.config.schema import Config
from loretta_cli.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def recipe(tmp_path):
    """Writes a recipe and gives its path."""

    def write(text: str) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def error_of(recipe: Path | None = None, flags: dict | None = None, overrides: tuple = ()) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_config(recipe, flags, overrides)
    return caught.value


def test_nothing_given_is_the_defaults():
    loaded = load_config()
    assert loaded.config == Config()
    assert loaded.origins == {}


def test_a_flag_wins_over_set_over_recipe_over_default(recipe):
    path = recipe("training: {seed: 1, epochs: 1, batch_size: 1}\n")
    loaded = load_config(
        path, {"training.seed": 3, "training.epochs": None}, ["training.seed=2", "training.epochs=2"]
    )
    training = loaded.config.training
    assert (training.seed, training.epochs, training.batch_size, training.log_every) == (3, 2.0, 1, 10)
    assert loaded.origins == {
        "training.seed": "flag",
        "training.epochs": "--set",
        "training.batch_size": f"recipe {path}",
    }


def test_a_flag_that_is_false_or_zero_counts_as_given():
    loaded = load_config(None, {"training.seed": 0, "adapter.bias": False})
    assert loaded.origins == {"training.seed": "flag", "adapter.bias": "flag"}
    assert loaded.config.adapter.bias is False


def test_a_path_as_a_flag_becomes_text(tmp_path):
    assert load_config(None, {"output.dir": tmp_path}).config.output.dir == str(tmp_path)


def test_the_last_of_two_overrides_wins():
    assert load_config(None, {}, ["training.seed=1", "training.seed=2"]).config.training.seed == 2


def test_a_wrong_value_that_is_overridden_does_no_harm(recipe):
    path = recipe("training: {seed: many}\n")
    assert load_config(path, {}, ["training.seed=4"]).config.training.seed == 4


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("training.learning_rate=1e-3", 0.001),
        ("training.learning_rate = 5e-4 ", 0.0005),
        ("training.max_steps=1e3", 1000),
        ("adapter.tt_rank=[5, 8]", [5, 8]),
        ("adapter.tt_rank=null", None),
        ("adapter.bias=true", True),
        ("adapter.bias=no", False),
        ("adapter.mode_shapes={768x64: [8, 8, 12, 8, 8]}", {"768x64": [8, 8, 12, 8, 8]}),
        ("adapter.target_modules=[query, value]", ["query", "value"]),
        ("adapter.target_modules=.*\\.(query|value): *", ".*\\.(query|value): *"),
        ("adapter.target_modules=*.query", "*.query"),
        ("data.labels=[yes, no]", ["yes", "no"]),
        ("data.source=a=b.csv", "a=b.csv"),
        ("data.source=@home/rows #1.csv", "@home/rows #1.csv"),
        ("model.revision=1234567", "1234567"),
        ("model.revision=true", "true"),
        ("model.revision='null'", "null"),
        ("model.revision=null", None),
        ("model.revision=~", None),
        ("output.dir=2026-01-31", "2026-01-31"),
        ("data.columns.label=intent", "intent"),
        (r"task.prompt={question}\nAnswer:", "{question}\nAnswer:"),
        ("task.prompt={question}", "{question}"),
        (r"task.prompt=Q: {question}\n\\text{{a}}:\tA:", "Q: {question}\n\\text{{a}}:\tA:"),
        ('task.prompt="{question}\\u0021"', "{question}!"),
        (r"task.prompt='{question}\nA:'", r"{question}\nA:"),
        ('task.prompt="{question}" it says', '"{question}" it says'),
        ('task.prompt="{question}" or "{answer}"', '"{question}" or "{answer}"'),
        ("task.masked_prompt={sentence} It was {mask}.", "{sentence} It was {mask}."),
        ("task.prompt=[1] {question}", "[1] {question}"),
        (r"data.source={new}\names.csv", r"{new}\names.csv"),
        (r'task.stop=["\n", "}"]', ["\n", "}"]),
    ],
)
def test_an_override_is_read_in_the_kind_of_its_setting(override, value):
    config: object = load_config(None, {}, [override]).config
    for part in override.partition("=")[0].strip().split("."):
        config = getattr(config, part)
    assert config == value
    assert type(config) is type(value)


def test_an_override_of_a_section_sets_what_it_names(recipe):
    path = recipe("data: {columns: {text: body, label: mood}}\n")
    loaded = load_config(path, {}, ["data.columns={label: intent}"])
    assert (loaded.config.data.columns.text, loaded.config.data.columns.label) == ("body", "intent")
    assert loaded.origins["data.columns.label"] == "--set"


def test_a_section_with_all_lines_commented_out_is_fine(recipe):
    path = recipe("training:\n  # seed: 1\ndata:\n  columns:\n")
    assert load_config(path).config == Config()


def test_a_float_that_yaml_reads_as_text_is_a_number(recipe):
    path = recipe("training:\n  learning_rate: 1e-3\n  weight_decay: 1E-2\n")
    training = load_config(path).config.training
    assert (training.learning_rate, training.weight_decay) == (0.001, 0.01)


def test_one_fault_is_one_line_with_key_origin_and_hint(recipe):
    path = recipe("training:\n  batch_size: many\n")
    error = error_of(path)
    assert error.message == (
        f"training.batch_size: found 'many' (recipe {path}), expected a whole number above 0."
    )
    assert error.hint == "training.batch_size: Training rows in one forward pass, of all processes together."


def test_all_faults_of_all_places_are_reported_together(recipe):
    path = recipe("training:\n  sed: 1\n  batch_size: 0\nadapter: 5\nwibble: {}\n")
    error = error_of(
        path, {"model.dtype": "float8"}, ("training.warmup=-1", "no-equals", "data.labels=[a", "tt_rank=3")
    )
    heading, *lines = error.message.splitlines()
    assert heading == "9 settings are wrong:"
    for words in (
        f"  - training.sed: unknown key (recipe {path}). Did you mean 'training.seed'?",
        f"  - training.batch_size: found 0 (recipe {path}), expected a whole number above 0.",
        f"  - adapter: found 5 (recipe {path}), expected a section with settings below it.",
        f"  - wibble: unknown key (recipe {path}).",
        "  - --set 'no-equals' lacks '=', expected key.path=value.",
        "  - --set data.labels, line 1",
        "  - tt_rank: unknown key (--set). Did you mean 'adapter.tt_rank'?",
        "  - training.warmup: found -1 (--set), expected",
        "  - model.dtype: found 'float8' (flag), expected auto, float32, bfloat16 or float16.",
    ):
        assert any(line.startswith(words) for line in lines), words
    assert error.hint


@pytest.mark.parametrize("word", ["Input should", "pydantic", "http", "validation error", "Traceback"])
def test_the_words_of_pydantic_do_not_leak(word):
    wrong = [f"{key}=[[]]" for key in ("training.seed", "training.warmup", "adapter.bias", "model.dtype")]
    wrong += ["adapter.mode_shapes={a: b}", "data.labels=[1]", "adapter.tt_rank={}", "model.quantization=4"]
    error = error_of(overrides=tuple(wrong))
    assert error.message.startswith("8 settings are wrong:")
    assert word not in error.message


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("training.seed", "lacks '='"),
        ("=3", "lacks a key before '='"),
        (" = 3", "lacks a key before '='"),
        ("training.seed=", "lacks a value after '='"),
        ("", "lacks '='"),
        ("training..seed=1", "unknown key"),
        (".training.seed=1", "unknown key"),
        ("training.seed.=1", "training.seed holds one value"),
        ("training=1", "expected a section with settings below it"),
        ("adapter.init=!!python/name:os.system", "is not allowed"),
        ("model.name=!!python/name:os.system", "is not allowed"),
        ("data.labels=[a, b", "--set data.labels, line 1"),
        ("training.seed=0x" + "f" * 5000, "found a number that is too long to show"),
        ("adapter.tt_rank=&a [*a]", "expected a whole number above 0 or a list"),
        ("task.promt={question}", "task.promt: unknown key (--set)"),
        ("task.options.0=yes", "task.options holds one value and has no keys below it"),
        ("task.options={yes}", "expected a list of two or more different texts"),
    ],
)
def test_a_broken_override_is_explained(override, words):
    assert words in error_of(overrides=(override,)).message


@pytest.mark.parametrize("override", ["model.name=caf\udce9", "caf\udce9.name=1", "caf\udce9"])
def test_an_argument_that_is_not_utf_8_gives_a_message_that_can_be_printed(override):
    assert "\\udce9" in error_of(overrides=(override,)).message.encode("utf-8").decode()


def test_a_key_with_dots_in_a_recipe_is_told_to_nest(recipe):
    error = error_of(recipe("training.seed: 1\n"))
    assert "training.seed: a key with dots" in error.message
    assert "training: seed:" in error.hint


def test_keys_that_are_not_text_are_unknown_keys(recipe):
    error = error_of(recipe("1: 2\ntraining: {true: 1, null: 2}\n"))
    assert error.message.startswith("3 settings are wrong:")
    assert error.message.count("unknown key") == 3


@pytest.mark.parametrize("text", ["", "- a\n", "a: [\n", "a: 1\na: 2\n", "a: !!python/name:os.system x\n"])
def test_a_recipe_that_cannot_be_read_is_named(recipe, text):
    path = recipe(text)
    assert str(path) in error_of(path).message


def test_a_config_written_and_read_again_is_the_same(tmp_path):
    config = load_config(
        None,
        {"output.dir": "2026-01-31", "model.name": "é: # \U0001f600", "model.revision": "1e5"},
        [
            "data.labels=[yes, 'true', '0']",
            "training.learning_rate=1e-5",
            "adapter.mode_shapes={768x64: [8, 8, 12, 8, 8]}",
            "adapter.tt_rank=[5, 8]",
        ],
    ).config
    path = tmp_path / "config.yaml"
    write_config(config, path)
    assert read_run_config(path) == config


def test_a_written_config_holds_every_section_in_order_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("old")
    write_config(Config(), path)
    text = path.read_text(encoding="utf-8")
    heads = [line.rstrip(":") for line in text.splitlines() if not line.startswith(" ")]
    assert heads == list(Config.model_fields)
    assert text.endswith("\n")
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.yaml"]


def test_a_config_that_cannot_be_written_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match=r"cannot be written to .*config\.yaml: No such file"):
        write_config(Config(), tmp_path / "absent" / "config.yaml")


def test_a_write_that_fails_at_the_end_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "config.yaml"
    path.mkdir()
    with pytest.raises(OutputError):
        write_config(Config(), path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.yaml"]


def test_a_damaged_run_config_is_named(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("training: {seed: x}\n")
    with pytest.raises(ConfigError) as caught:
        read_run_config(path)
    assert f"(run config {path})" in caught.value.message
    with pytest.raises(ConfigError, match="There is no run config at"):
        read_run_config(tmp_path / "absent.yaml")


def test_contradictions_name_each_asked_value_that_differs(recipe):
    saved = load_config(None, {"training.batch_size": 8, "training.epochs": 3}).config
    path = recipe("training: {batch_size: 16}\n")
    asked = load_config(path, {"training.seed": 1, "training.epochs": 3}, ["adapter.bias=false"])
    assert contradictions(saved, asked) == [
        "adapter.bias is nothing in the run and false on the command line",
        f"training.batch_size is 8 in the run and 16 in recipe {path}",
        "training.seed is 0 in the run and 1 on the command line",
    ]


def test_defaults_that_differ_are_no_contradiction():
    saved = load_config(None, {"training.seed": 7, "training.batch_size": 8}).config
    assert contradictions(saved, load_config()) == []


def test_leaving_the_choice_to_the_run_is_no_contradiction():
    saved = load_config(
        None, {"adapter.preset": "paper", "adapter.tt_rank": 5, "output.dir": "runs/a"}
    ).config
    asked = load_config(None, {"adapter.preset": "auto", "output.dir": "moved/a"}, ["adapter.tt_rank=null"])
    assert contradictions(saved, asked) == []
