"""What each training setting does, and which values stand where none is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import EarlyStoppingCallback

from loretta_cli.config import TrainingSettings
from loretta_cli.methods import DEFAULTS, METHODS, training_defaults
from loretta_cli.planning.plan import make_plan
from loretta_cli.training.arguments import OPTIMIZERS, training_arguments
from loretta_cli.training.gradients import GRADIENTS
from tests.command_line import metric_records
from tests.training.trainers import ROWS, config_of, logged, make_place, ready, run_of


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_place(tmp_path_factory.mktemp("trainer"))


def test_the_defaults_have_a_row_for_each_method_and_gradient() -> None:
    assert set(DEFAULTS) == {(method, gradient) for method in METHODS for gradient in GRADIENTS}
    for method, gradient in DEFAULTS:
        row = training_defaults(method, gradient)
        assert 0 < row.learning_rate < 1
        assert row.epochs > 0


def test_defaults_fill_what_the_recipe_leaves_open(place: Path) -> None:
    open_plan = make_plan(config_of(place))
    given = make_plan(config_of(place, "training.learning_rate=0.5", "training.epochs=2"))

    row = training_defaults("rep", "backprop")
    training = open_plan.config.training
    assert (training.learning_rate, training.epochs) == (row.learning_rate, row.epochs)
    assert (given.config.training.learning_rate, given.config.training.epochs) == (0.5, 2)


OTHER_VALUES: dict[str, Any] = {
    "epochs": 3,
    "max_steps": 7,
    "learning_rate": 0.25,
    "scheduler": "cosine",
    "warmup": 5,
    "weight_decay": 0.5,
    "batch_size": 3,
    "gradient_accumulation": 4,
    "gradient_checkpointing": True,
    "optimizer": "sgd",
    "momentum": 0.75,
    "max_grad_norm": 0.125,
    "seed": 11,
    "evaluate_every": 13,
    "log_every": 17,
}

NOT_ARGUMENTS = {
    *("gradient", "objective", "early_stopping", "evaluation_batch_size", "select_by", "shard_base"),
    *("keep_checkpoints", "trackers"),
}
"""Settings that become an estimator, a callback, our own evaluation and saving, the shape of the model."""


def _arguments(tmp_path: Path, **settings: Any) -> Any:
    filled = {"learning_rate": 0.01, "epochs": 1, **settings}
    return training_arguments(
        TrainingSettings(**filled),
        steps=filled.get("max_steps"),
        folder=tmp_path,
        chosen_by="accuracy",
        greater_is_better=True,
    )


def test_no_training_setting_is_forgotten_here() -> None:
    assert set(OTHER_VALUES) | NOT_ARGUMENTS == set(TrainingSettings.model_fields)


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_each_setting_changes_trainers_arguments(name: str, tmp_path: Path) -> None:
    before, after = (_arguments(tmp_path, **given).to_dict() for given in ({}, {name: OTHER_VALUES[name]}))

    changed = {key for key in after if after[key] != before[key]}
    assert changed
    assert any(
        OTHER_VALUES[name] == after[key] or str(OTHER_VALUES[name]) in str(after[key]) for key in changed
    )


def test_max_steps_wins_over_epochs(place: Path, tmp_path: Path) -> None:
    run = run_of(place, tmp_path / "run", "training.max_steps=2", "training.epochs=50")

    assert run.read_report()["steps"] == 2


def test_epochs_are_passes_over_the_rows(place: Path, tmp_path: Path) -> None:
    run = run_of(place, tmp_path / "run", "training.epochs=2", "training.batch_size=8")

    assert run.read_report()["steps"] == 2 * ROWS / 8


def test_the_optimizer_is_the_one_that_was_asked_for(place: Path, tmp_path: Path) -> None:
    from transformers.optimization import Adafactor

    expected = {
        "adamw": torch.optim.AdamW,
        "adamw_fused": torch.optim.AdamW,
        "adafactor": Adafactor,
        "sgd": torch.optim.SGD,
        "rmsprop": torch.optim.RMSprop,
    }
    assert set(expected) == set(OPTIMIZERS)
    for name, kind in expected.items():
        trainer = ready(place, tmp_path / name, f"training.optimizer={name}").trainer
        optimizer = trainer.create_optimizer()
        assert type(optimizer) is kind
        assert bool(optimizer.defaults.get("fused")) == (name == "adamw_fused")


def test_momentum_goes_to_sgd(place: Path, tmp_path: Path) -> None:
    for name, settings in (("with", ("training.momentum=0.75",)), ("without", ())):
        trainer = ready(place, tmp_path / name, "training.optimizer=sgd", *settings).trainer

        assert trainer.create_optimizer().defaults["momentum"] == (0.75 if settings else 0)


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        (("training.scheduler=constant",), [1, 1, 1, 1, 1, 1, 1, 1]),
        (
            ("training.scheduler=linear", "training.warmup=0"),
            [1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8],
        ),
        (
            ("training.scheduler=linear", "training.warmup=4"),
            [0, 1 / 4, 2 / 4, 3 / 4, 1, 3 / 4, 2 / 4, 1 / 4],
        ),
        (
            ("training.scheduler=linear", "training.warmup=0.5"),
            [0, 1 / 4, 2 / 4, 3 / 4, 1, 3 / 4, 2 / 4, 1 / 4],
        ),
        (("training.scheduler=constant_with_warmup", "training.warmup=2"), [0, 1 / 2, 1, 1, 1, 1, 1, 1]),
        (
            ("training.scheduler=cosine", "training.warmup=0"),
            [1, 0.9619, 0.8536, 0.6913, 0.5, 0.3087, 0.1464, 0.0381],
        ),
    ],
)
def test_scheduler_and_warmup_shape_the_learning_rate(
    settings: tuple[str, ...], rates: list[float], place: Path, tmp_path: Path
) -> None:
    common = ("training.max_steps=8", "training.batch_size=2", "training.learning_rate=0.01")
    run = run_of(place, tmp_path / "run", *common, "training.log_every=1", *settings)

    assert logged(run, "learning_rate") == pytest.approx([0.01 * rate for rate in rates], abs=1e-6)


def test_log_every_and_evaluate_every_set_the_rhythm(place: Path, tmp_path: Path) -> None:
    rhythm = ("training.max_steps=10", "training.log_every=4", "training.evaluate_every=6")
    run = run_of(place, tmp_path / "run", *rhythm, "training.batch_size=4")

    steps: dict[str, list[int]] = {"train": [], "validation": []}
    for record in metric_records(run.path):
        steps[record["split"]].append(record["step"])
    assert steps["validation"] == [6, 10], "and at the last step"
    assert steps["train"] == [1, 4, 6, 8, 10], "at the first step, each fourth, and before each checkpoint"
    kept = {path.name for path in run.checkpoints.iterdir()}
    assert kept == {"checkpoint-6", "checkpoint-10"}


def test_early_stopping_is_a_callback_with_its_patience(place: Path, tmp_path: Path) -> None:
    def patience(*settings: str) -> list[int]:
        trainer = ready(place, tmp_path / str(len(settings)), *settings).trainer
        found = [one for one in trainer.callback_handler.callbacks if isinstance(one, EarlyStoppingCallback)]
        return [one.early_stopping_patience for one in found]

    assert patience() == []
    assert patience("training.early_stopping=3") == [3]


def test_the_gradient_setting_chooses_the_estimator(place: Path, tmp_path: Path) -> None:
    trainer = ready(place, tmp_path, "training.gradient=backprop").trainer

    assert type(trainer.estimator) is GRADIENTS.get("backprop")
