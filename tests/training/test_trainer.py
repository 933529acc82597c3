"""The training loop against plain torch."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.errors import ConfigError, TrainingError
from loretta_cli.training.trainer import AdapterTrainer
from tests.training.trainers import PLAIN, logged, make_place, pairs, ready, run_of


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_place(tmp_path_factory.mktemp("trainer"))


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
    assert all(torch.equal(one, two) for one, two in pairs(mine, other)), "both start alike"

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
    losses = [logged(run, "loss") for run in (whole, halves)]
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

    assert all(torch.equal(first, second) for first, second in pairs(one, same))
    assert any(not torch.equal(first, second) for first, second in pairs(one, other))
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
