"""The training loop against plain torch, and what each training setting does."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from transformers import EarlyStoppingCallback

from loretta_cli.artifacts.metrics_log import MetricsLog
from loretta_cli.artifacts.run_folder import RunFolder, create_run
from loretta_cli.config import TrainingSettings, load_config
from loretta_cli.errors import ConfigError, TrainingError
from loretta_cli.methods import DEFAULTS, METHODS, training_defaults
from loretta_cli.planning.plan import AdaptedModel, Plan, load_base, make_plan, put_adapter
from loretta_cli.report import SilentReporter
from loretta_cli.training.arguments import OPTIMIZERS, training_arguments
from loretta_cli.training.gradients import GRADIENTS
from loretta_cli.training.run import encode_rows, make_trainer, train
from loretta_cli.training.trainer import AdapterTrainer
from tests.command_line import metric_records, write_sentences

ROWS = 16
PLAIN = ("training.warmup=0", "training.scheduler=constant", "training.max_grad_norm=0")
"""Nothing between the gradient and the optimizer."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A trainer that is about to start."""

    plan: Plan
    adapted: AdaptedModel
    trainer: AdapterTrainer

    def parameters(self) -> dict[str, torch.Tensor]:
        """A copy of what trains."""
        named = self.adapted.model.named_parameters()
        return {name: value.detach().clone() for name, value in named if value.requires_grad}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen rows, and an encoder without dropout."""
    from tests.tiny_folders import save_tiny_encoder

    folder = tmp_path_factory.mktemp("trainer")
    save_tiny_encoder(folder / "encoder")
    file = folder / "encoder" / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    file.write_text(json.dumps(config), encoding="utf-8")
    write_sentences(folder / "sentences", train=ROWS, validation=6)
    return folder


def config_of(place: Path, *settings: str, method: str = "rep") -> Any:
    flags = {
        "model.name": str(place / "encoder"),
        "task.name": "sst2",
        "data.source": str(place / "sentences"),
        "data.protocol": "paper",
        "adapter.method": method,
    }
    return load_config(None, flags, settings).config


def ready(place: Path, tmp_path: Path, *settings: str, method: str = "rep") -> Ready:
    plan = make_plan(config_of(place, *settings, method=method))
    adapted = put_adapter(plan, load_base(plan))
    rows = encode_rows(plan, SilentReporter())
    run = create_run(tmp_path / "run", adapted.config, overwrite=False)
    log = MetricsLog(run.metrics_file)
    return Ready(plan, adapted, make_trainer(plan, adapted, rows, run, SilentReporter(), log, taken=0))


def run_of(place: Path, folder: Path, *settings: str) -> RunFolder:
    train(config_of(place, *settings), folder, SilentReporter())
    return RunFolder(folder)


@pytest.mark.parametrize("method", ["rep", "adp", "lora"])
def test_adamw_steps_equal_a_loop_in_plain_torch(method: str, place: Path, tmp_path: Path) -> None:
    steps, rate, decay = 3, 0.01, 0.1
    settings = (
        *PLAIN,
        *(f"training.max_steps={steps}", f"training.learning_rate={rate}"),
        *(f"training.weight_decay={decay}", "training.batch_size=5"),
    )
    mine = ready(place, tmp_path / "trained", *settings, method=method)
    other = ready(place, tmp_path / "by-hand", *settings, method=method)
    assert all(torch.equal(one, two) for one, two in _pairs(mine, other)), "both start alike"

    mine.trainer.train()
    # The best adapter is loaded at the end; the last one is in the checkpoint.
    trained = _saved(tmp_path / "trained" / "run", steps)

    named = [pair for pair in other.adapted.model.named_parameters() if pair[1].requires_grad]
    weights = [value for name, value in named if not name.endswith("bias")]
    biases = [value for name, value in named if name.endswith("bias")]
    groups = [{"params": weights, "weight_decay": decay}, {"params": biases, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=rate)
    other.adapted.model.train()
    batches = iter(other.trainer.get_train_dataloader())
    for _ in range(steps):
        batch = next(batches)
        optimizer.zero_grad()
        other.plan.form.losses(other.adapted.model, batch).mean().backward()
        optimizer.step()
    (tmp_path / "hand").mkdir()
    other.adapted.model.save_pretrained(tmp_path / "hand")
    by_hand = _tensors(tmp_path / "hand")

    assert by_hand.keys() == trained.keys()
    for name, value in by_hand.items():
        torch.testing.assert_close(trained[name], value, rtol=0, atol=1e-7, msg=name)


def _pairs(one: Ready, other: Ready) -> list[tuple[torch.Tensor, torch.Tensor]]:
    first, second = one.parameters(), other.parameters()
    assert first.keys() == second.keys()
    return [(first[name], second[name]) for name in first]


def _tensors(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    tensors: dict[str, torch.Tensor] = load_file(folder / "adapter_model.safetensors")
    return tensors


def _saved(run: Path, step: int) -> dict[str, torch.Tensor]:
    return _tensors(run / "checkpoints" / f"checkpoint-{step}")


def test_two_batches_of_eight_equal_one_of_sixteen(place: Path, tmp_path: Path) -> None:
    # As many rows as one step takes, so that both see the same ones.
    common = (*PLAIN, "training.max_steps=4", "training.learning_rate=0.01", "training.optimizer=sgd")
    whole = run_of(place, tmp_path / "whole", *common, "training.batch_size=16")
    halves = run_of(
        place, tmp_path / "halves", *common, "training.batch_size=8", "training.gradient_accumulation=2"
    )

    first, second = _saved(whole.path, 4), _saved(halves.path, 4)
    start = ready(place, tmp_path / "start", *common).parameters()
    assert any(
        not torch.equal(value, first[name.replace(".default", "")])
        for name, value in start.items()
        if name.replace(".default", "") in first
    ), "something was learnt"
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=1e-6, msg=name)
    losses = [_values(run, "loss") for run in (whole, halves)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_gradient_checkpointing_changes_no_number(place: Path, tmp_path: Path) -> None:
    common = ("training.max_steps=3", "training.learning_rate=0.01")
    plain = run_of(place, tmp_path / "plain", *common)
    checkpointed = run_of(place, tmp_path / "checkpointed", *common, "training.gradient_checkpointing=true")

    first, second = _saved(plain.path, 3), _saved(checkpointed.path, 3)
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=1e-6, msg=name)


def test_the_norm_of_the_gradient_is_cut(place: Path, tmp_path: Path) -> None:
    settings = ("training.warmup=0", "training.optimizer=sgd", "training.learning_rate=1.0")
    step = ("training.max_steps=1", "training.weight_decay=0", "training.max_grad_norm=0.001")
    begun = ready(place, tmp_path / "begun", *settings, *step)
    before = begun.parameters()
    begun.trainer.train()

    after = begun.parameters()
    moved = sum(float((after[name] - before[name]).square().sum()) for name in before) ** 0.5
    assert moved == pytest.approx(0.001, rel=1e-3)


def test_a_loss_that_is_not_a_number_stops_before_a_checkpoint(place: Path, tmp_path: Path) -> None:
    settings = (*PLAIN, "training.learning_rate=1e30", "training.max_steps=6")
    rhythm = ("training.evaluate_every=3", "training.log_every=1000")

    with pytest.raises(TrainingError, match="diverged") as caught:
        run_of(place, tmp_path / "run", *settings, *rhythm)

    assert caught.value.exit_code == 1
    assert "training.learning_rate" in caught.value.hint
    assert not list((tmp_path / "run" / "checkpoints").glob("checkpoint-*"))
    assert not RunFolder(tmp_path / "run").finished


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
}
"""Settings that become an estimator, a callback, our own evaluation, and the shape of the model."""


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

    assert _values(run, "learning_rate") == pytest.approx([0.01 * rate for rate in rates], abs=1e-6)


def _values(run: RunFolder, name: str) -> list[float]:
    return [record[name] for record in metric_records(run.path) if record["split"] == "train"]


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


def test_zeroth_order_gradients_are_refused_under_deepspeed(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = AdapterTrainer.create_accelerator_and_postprocess

    def with_deepspeed(trainer: AdapterTrainer) -> None:
        make(trainer)
        trainer.is_deepspeed_enabled = True

    monkeypatch.setattr(AdapterTrainer, "create_accelerator_and_postprocess", with_deepspeed)

    with pytest.raises(ConfigError, match="does not run under DeepSpeed") as caught:
        ready(place, tmp_path, "training.gradient=zo")

    assert "without DeepSpeed" in caught.value.hint


def test_zeroth_order_steps_leave_the_global_generators_alone(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, seen = AdapterTrainer.training_step, []

    def watched(trainer: AdapterTrainer, *arguments: Any, **options: Any) -> Any:
        before = torch.get_rng_state(), repr(numpy.random.get_state()), random.getstate()
        found = step(trainer, *arguments, **options)
        after = torch.get_rng_state(), repr(numpy.random.get_state()), random.getstate()
        seen.append(torch.equal(before[0], after[0]) and before[1:] == after[1:])
        return found

    monkeypatch.setattr(AdapterTrainer, "training_step", watched)
    ready(place, tmp_path, "training.gradient=zo", "training.max_steps=12").trainer.train()

    assert seen == [True] * 12


def test_the_seed_sets_the_start_and_the_order(place: Path, tmp_path: Path) -> None:
    one, same, other = (
        ready(place, tmp_path / name, f"training.seed={seed}")
        for name, seed in (("one", 1), ("same", 1), ("other", 2))
    )

    assert all(torch.equal(first, second) for first, second in _pairs(one, same))
    assert any(not torch.equal(first, second) for first, second in _pairs(one, other))
    orders = [list(run.trainer._get_train_sampler()) for run in (one, same, other)]
    assert orders[0] == orders[1] != orders[2]


def test_only_the_adapter_learns(place: Path, tmp_path: Path) -> None:
    begun = ready(place, tmp_path, "training.max_steps=2", "training.learning_rate=0.05", *PLAIN)
    frozen = {
        name: value.clone()
        for name, value in begun.adapted.model.named_parameters()
        if not value.requires_grad
    }
    before = begun.parameters()
    begun.trainer.train()

    now = dict(begun.adapted.model.named_parameters())
    assert all(torch.equal(now[name], value) for name, value in frozen.items())
    assert any(not torch.equal(now[name], value) for name, value in before.items())
