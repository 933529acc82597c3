"""The schema: defaults, limits, tolerated spellings, and what each setting says about itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

import loretta_cli.config
from loretta_cli.config.schema import Config, section_keys, setting_fields

# Group, then the names below it that the contract fixes.
CONTRACT = {
    "model": "name dtype quantization",
    "adapter": "method preset tt_rank bottleneck alpha target_modules mode_shapes head bias train_norms "
    "placement activation dropout init layers_to_transform",
    "task": "name",
    "data": "source labels train_rows validation_rows max_length",
    "data.columns": "text label",
    "training": "gradient epochs max_steps learning_rate scheduler warmup weight_decay batch_size "
    "gradient_accumulation gradient_checkpointing optimizer seed",
    "output": "dir",
}


def config_with(key: str, value: object) -> Config:
    """A config with one value set, without the room's own messages."""
    nested: object = value
    for part in reversed(key.split(".")):
        nested = {part: nested}
    return Config.model_validate(nested)


def value_at(config: object, key: str) -> object:
    for part in key.split("."):
        config = getattr(config, part)
    return config


def test_the_keys_that_the_contract_fixes_exist():
    fixed = {f"{group}.{name}" for group, names in CONTRACT.items() for name in names.split()}
    assert fixed <= set(setting_fields())


def test_the_defaults_leave_the_adapter_to_the_preset():
    adapter = Config().adapter
    assert (adapter.method, adapter.preset) == ("rep", "auto")
    chosen_later = set(type(adapter).model_fields) - {"method", "preset"}
    assert {getattr(adapter, name) for name in chosen_later} == {None}


def test_the_defaults_of_training_are_the_documented_ones():
    assert Config().training.model_dump() == {
        "gradient": "backprop",
        "objective": "loss",
        "epochs": None,
        "max_steps": None,
        "learning_rate": None,
        "scheduler": "linear",
        "warmup": 0.06,
        "weight_decay": 0.01,
        "batch_size": 16,
        "evaluation_batch_size": 64,
        "gradient_accumulation": 1,
        "gradient_checkpointing": False,
        "shard_base": False,
        "optimizer": None,
        "momentum": None,
        "max_grad_norm": None,
        "seed": 0,
        "evaluate_every": None,
        "select_by": "metric",
        "early_stopping": None,
        "keep_checkpoints": None,
        "log_every": 10,
        "trackers": [],
    }


@pytest.mark.parametrize("key", setting_fields())
def test_every_setting_describes_itself_in_one_line(key):
    description = setting_fields()[key].description
    assert description
    assert description.endswith(".")
    assert "\n" not in description


def test_sections_are_named_from_the_top_down():
    assert section_keys() == (
        *("model", "adapter", "task", "data", "data.columns", "training", "zo", "output"),
    )


def test_a_config_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Config().training.seed = 5


def test_unknown_keys_are_refused_at_every_depth():
    for key in ("nothing", "training.nothing", "data.columns.nothing"):
        with pytest.raises(ValidationError, match="extra_forbidden"):
            config_with(key, 1)


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        ("training.learning_rate", "1e-3", 0.001),
        ("training.max_steps", "1e3", 1000),
        ("training.max_steps", 20.0, 20),
        ("training.epochs", 0.5, 0.5),
        ("training.warmup", 0, 0.0),
        ("training.warmup", 100, 100.0),
        ("training.max_grad_norm", 0, 0.0),
        ("training.seed", 2**32 - 1, 4294967295),
        ("training.gradient", "zo", "zo"),
        ("zo.epsilon", "1e-3", 0.001),
        ("zo.rollback", "3", 3.0),
        ("adapter.tt_rank", 5, 5),
        ("adapter.tt_rank", [5, 8], [5, 8]),
        ("adapter.target_modules", "query|value", "query|value"),
        ("adapter.target_modules", ["query", "value"], ["query", "value"]),
        ("adapter.exclude_modules", [], []),
        ("adapter.layers_to_transform", 0, 0),
        ("adapter.layers_to_transform", [0, 3], [0, 3]),
        ("adapter.dropout", 0, 0.0),
        ("adapter.bias", False, False),
        ("adapter.mode_shapes", {"768x64": [8, 8, 12, 8, 8]}, {"768x64": [8, 8, 12, 8, 8]}),
        ("data.labels", ["no", "yes"], ["no", "yes"]),
        ("data.max_length", 8, 8),
        ("model.quantization", None, None),
        ("model.quantization", "nf4", "nf4"),
        ("model.quantization", "fp4", "fp4"),
        ("model.quantization", "int8", "int8"),
    ],
)
def test_a_right_value_is_kept_in_the_kind_of_its_setting(key, value, kept):
    found = value_at(config_with(key, value), key)
    assert found == kept
    assert type(found) is type(kept)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.name", ""),
        ("model.name", 5),
        ("model.dtype", "int8"),
        ("model.quantization", "4bit"),
        ("model.quantization", 8),
        ("model.trust_remote_code", "perhaps"),
        ("adapter.method", None),
        ("adapter.preset", "large"),
        ("adapter.tt_rank", 0),
        ("adapter.tt_rank", [5, 0]),
        ("adapter.tt_rank", []),
        ("adapter.tt_rank", True),
        ("adapter.bottleneck", -1),
        ("adapter.alpha", 0),
        ("adapter.target_modules", []),
        ("adapter.layers_to_transform", -1),
        ("adapter.layers_to_transform", []),
        ("adapter.mode_shapes", {"768": [768]}),
        ("adapter.mode_shapes", {"768x64": [768, 63]}),
        ("adapter.mode_shapes", {"768x64": [-768, -64]}),
        ("adapter.mode_shapes", {"768x64": []}),
        ("adapter.head", "none"),
        ("adapter.placement", "everywhere"),
        ("adapter.activation", "swish"),
        ("adapter.dropout", 1),
        ("adapter.dropout", -0.1),
        ("adapter.init", "random"),
        ("task.form", "span"),
        ("data.labels", ["only"]),
        ("data.labels", ["same", "same"]),
        ("data.train_rows", 0),
        ("data.validation_rows", 1.5),
        ("data.validation_fraction", 0),
        ("data.validation_fraction", 1),
        ("data.max_length", 7),
        ("training.gradient", "forward"),
        ("training.momentum", 1),
        ("training.momentum", 0),
        ("zo.rollback", 1),
        ("zo.epsilon", 0),
        ("zo.queries", 0),
        ("zo.second_moment", 1),
        ("zo.estimator", "two-sided"),
        ("training.epochs", 0),
        ("training.max_steps", "1.5e0"),
        ("training.learning_rate", float("nan")),
        ("training.learning_rate", float("inf")),
        ("training.learning_rate", True),
        ("training.warmup", -0.1),
        ("training.warmup", 1.5),
        ("training.weight_decay", -1),
        ("training.batch_size", 0),
        ("training.batch_size", "many"),
        ("training.optimizer", "adam"),
        ("training.max_grad_norm", -1),
        ("training.seed", -1),
        ("training.seed", 2**32),
        ("training.seed", None),
        ("training.seed", True),
        ("training.early_stopping", 0),
        ("output.dir", ""),
    ],
)
def test_a_wrong_value_is_refused(key, value):
    with pytest.raises(ValidationError) as caught:
        config_with(key, value)
    assert all(".".join(map(str, error["loc"])).startswith(key) for error in caught.value.errors())


def test_importing_the_room_loads_no_heavy_package():
    code = (
        "import sys, loretta_cli.config\n"
        "print(*sorted({'torch', 'transformers', 'datasets', 'peft', 'numpy'} & set(sys.modules)))"
    )
    root = Path(loretta_cli.config.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == ""


def test_every_public_name_of_the_room_exists():
    assert all(hasattr(loretta_cli.config, name) for name in loretta_cli.config.__all__)
