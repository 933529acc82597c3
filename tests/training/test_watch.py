"""A training that teaches nothing is told of within its first steps; one that goes well is left alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.config import Config
from loretta_cli.errors import DataError, LorettaError, TrainingError
from loretta_cli.tasks.forms.head import HeadForm
from loretta_cli.training.gradients.backprop import Backprop
from loretta_cli.training.trainer import AdapterTrainer
from loretta_cli.training.watching import faults
from loretta_cli.training.watching.settings import Watched
from tests.training.trainers import PLAIN, config_of, make_place, pairs, ready
from tests.training.watched_runs import RHYTHM, ZO, Listener, flags_in, taken, warnings_of

Change = Callable[[torch.Tensor], torch.Tensor]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_place(tmp_path_factory.mktemp("watch"))


@pytest.fixture
def with_losses(monkeypatch: pytest.MonkeyPatch) -> Callable[[Change], None]:
    """Have the rows of training batches other losses."""

    def change(by: Change) -> None:
        own = HeadForm.losses
        monkeypatch.setattr(HeadForm, "losses", lambda form, model, batch: by(own(form, model, batch)))

    return change


@pytest.fixture
def with_gradients(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str, Any, int], None]], None]:
    """Change every gradient behind the backward pass: (name, parameter, step from 1)."""

    def change(by: Callable[[str, Any, int], None]) -> None:
        own = Backprop.accumulate

        def accumulate(estimator: Backprop, loss: Any, *, moment: Any, **options: Any) -> torch.Tensor:
            value = own(estimator, loss, moment=moment, **options)
            for name, parameter in loss.model.named_parameters():
                if parameter.requires_grad:
                    by(name, parameter, moment.step + 1)
            return value

        monkeypatch.setattr(Backprop, "accumulate", accumulate)

    return change


def fails(place: Path, folder: Path, *settings: str, method: str = "rep") -> TrainingError:
    with pytest.raises(TrainingError) as caught:
        warnings_of(place, folder, *settings, method=method)
    assert caught.value.exit_code == 1
    assert not RunFolder(folder).finished
    for flags in flags_in(caught.value.hint):
        taken(config_of(place, *settings, method=method), flags)
    return caught.value


@pytest.mark.parametrize("method", ["rep", "adp", "lora", "bitfit", "full", "vera", "head", "ia3"])
def test_a_training_that_goes_well_is_left_alone(method: str, place: Path, tmp_path: Path) -> None:
    assert warnings_of(place, tmp_path / "run", method=method) == []


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("rep", ()),
        ("rep", ("zo.queries=4", "zo.backend=batched")),
        ("adp", ("training.objective=accuracy", "zo.epsilon=0.3")),
        ("full", ("training.learning_rate=0.0001",)),
    ],
)
def test_so_is_one_with_estimated_gradients(
    method: str, settings: tuple[str, ...], place: Path, tmp_path: Path
) -> None:
    assert warnings_of(place, tmp_path / "run", *ZO[:2], *settings, method=method) == []


@pytest.mark.parametrize("settings", [(), ZO])
def test_watching_changes_no_bit(settings: tuple[str, ...], place: Path, tmp_path: Path) -> None:
    seen = ready(place, tmp_path / "seen", *RHYTHM, *settings)
    alone = ready(place, tmp_path / "alone", *RHYTHM, *settings)
    alone.trainer.remove_callback(type(alone.trainer.watch))
    alone.trainer.watch = None
    seen.trainer.train()
    alone.trainer.train()

    assert all(torch.equal(one, other) for one, other in pairs(seen, alone))


def test_a_loss_that_explodes_names_the_step_the_rate_and_what_is_gentler(
    place: Path, tmp_path: Path
) -> None:
    error = fails(place, tmp_path / "run", *PLAIN, "training.learning_rate=1e30")

    assert "at step 2" in error.message
    assert "the learning rate was 1e+30" in error.message
    assert "in the forward pass" in error.message
    assert "one step before" in error.message
    assert "--set training.learning_rate=0.005," in error.hint, "the usual rate of rep"
    assert "--set training.max_grad_norm=1" in error.hint
    assert "There is no checkpoint yet" in error.hint


def test_a_loss_that_explodes_late_leaves_the_last_checkpoint(
    place: Path, tmp_path: Path, with_gradients: Any
) -> None:
    def explode(name: str, parameter: Any, step: int) -> None:
        if step == 11:
            parameter.grad.fill_(torch.inf)

    with_gradients(explode)
    error = fails(place, tmp_path / "run", *PLAIN)

    assert "The gradient is inf at step 11" in error.message
    assert "in the backward pass" in error.message
    assert "The checkpoint of step 8 is whole" in error.hint
    assert "--overwrite" in error.hint


def test_a_model_that_gives_no_numbers_is_not_blamed_on_the_rate(
    place: Path, tmp_path: Path, with_losses: Any
) -> None:
    with_losses(lambda losses: losses * torch.nan)
    error = fails(place, tmp_path / "run")

    assert "at step 1, before anything was trained" in error.message
    assert "--set training.learning_rate" not in error.hint


def test_losses_that_are_all_zero_stop_a_training_without_a_gradient(
    place: Path, tmp_path: Path, with_losses: Any
) -> None:
    with_losses(lambda losses: losses * 0)

    assert "Loss and gradient of the first 5 steps are exactly 0" in fails(place, tmp_path / "run").message


def test_losses_that_are_all_zero_are_warned_of_where_there_is_a_gradient(
    place: Path, tmp_path: Path, with_losses: Any
) -> None:
    with_losses(lambda losses: losses - losses.detach())
    (said,) = warnings_of(place, tmp_path / "run")

    assert "the loss of the first 5 steps is exactly 0" in said


def test_an_adapter_that_the_loss_does_not_reach_stops_the_training(
    place: Path, tmp_path: Path, with_losses: Any
) -> None:
    with_losses(lambda losses: losses.detach() + 0 * losses)
    error = fails(place, tmp_path / "run")

    assert "is exactly 0 in each of the first 10 steps" in error.message
    assert "adapter.target_modules=" in error.hint


def test_tensors_without_a_gradient_are_named(place: Path, tmp_path: Path, with_gradients: Any) -> None:
    def cut(name: str, parameter: Any, step: int) -> None:
        if "layer.1" in name and "query" in name:
            parameter.grad = None

    with_gradients(cut)
    (said,) = warnings_of(place, tmp_path / "run", method="lora")

    assert said.startswith("2 trained tensors had no gradient in the first 10 steps")
    assert "layer.1.attention.self.query.lora_A" in said


def test_a_head_without_a_gradient_is_called_one(place: Path, tmp_path: Path, with_gradients: Any) -> None:
    def cut(name: str, parameter: Any, step: int) -> None:
        if "classifier" in name:
            parameter.grad.zero_()

    with_gradients(cut)
    (said,) = warnings_of(place, tmp_path / "run")

    assert "the new head is among them and stays random" in said
    assert "--set adapter.head=dense" in said


def test_a_head_that_is_frozen_is_told_of_before_the_first_step(place: Path, tmp_path: Path) -> None:
    said = warnings_of(place, tmp_path / "run", "adapter.head=frozen", "adapter.preset=standard")

    assert said[-1].startswith("the head (classifier")
    assert "is random and does not train" in said[-1]


def test_updates_that_are_lost_in_rounding_are_told_of(place: Path, tmp_path: Path) -> None:
    said, evaluated = warnings_of(place, tmp_path / "run", *PLAIN, "training.learning_rate=1e-20")

    assert "have not changed in 10 steps" in said
    assert said.endswith("use --set training.learning_rate=0.005"), "the usual rate of rep"
    assert "is the same to the last digit in 3 evaluations" in evaluated


@pytest.mark.parametrize(("dtype", "is_lost"), [("bfloat16", True), ("float32", False)])
def test_updates_that_half_precision_loses_are_told_of(
    dtype: str, is_lost: bool, place: Path, tmp_path: Path
) -> None:
    settings = (*PLAIN[:2], *ZO[:2], f"model.dtype={dtype}", "training.learning_rate=1e-7")
    said = warnings_of(place, tmp_path / "run", *settings, method="full")

    lost = [one for one in said if "of the weights are too coarse for the updates" in one]
    assert len(lost) == is_lost
    assert all("in bfloat16 they stay as they are; use --set model.dtype=float32" in one for one in lost)


def test_a_training_in_which_nothing_moves_is_stopped(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda *arguments, **options: None)
    error = fails(place, tmp_path / "run")

    assert "trained tensors has changed in 10 steps" in error.message


def test_a_warm_up_is_no_standing_still(place: Path, tmp_path: Path) -> None:
    assert warnings_of(place, tmp_path / "run", "training.warmup=11", "training.max_steps=14") == []


def test_batches_without_labels_stop_the_training(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AdapterTrainer, "training_step", _masked(AdapterTrainer.training_step, range(1, 99)))
    error = fails(place, tmp_path / "run")

    assert "All labels of the first 5 steps are masked (-100)" in error.message


def test_one_batch_without_labels_is_warned_of(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AdapterTrainer, "training_step", _masked(AdapterTrainer.training_step, [2]))
    (said,) = warnings_of(place, tmp_path / "run")

    assert said.startswith("step 2: all labels of its rows are masked")


def _masked(own: Any, steps: Any) -> Any:
    """A training step whose batch has no labels in these steps."""

    def step(trainer: Any, model: Any, inputs: dict[str, Any], *arguments: Any) -> Any:
        if trainer.state.global_step + 1 in steps:
            inputs = {**inputs, "labels": torch.full_like(inputs["labels"], -100)}
        return own(trainer, model, inputs, *arguments)

    return step


def test_rows_without_labels_are_refused_before_there_is_a_folder(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = HeadForm.encode

    def masked(form: Any, examples: Any) -> Any:
        encoded = own(form, examples)
        return type(encoded)(tuple({**row, "labels": -100} for row in encoded.rows), encoded.shortened)

    monkeypatch.setattr(HeadForm, "encode", masked)

    with pytest.raises(DataError, match="None of the 16 training rows has anything to learn") as caught:
        warnings_of(place, tmp_path / "run")

    assert caught.value.exit_code == 2
    assert not (tmp_path / "run").exists()


def test_targets_that_match_nothing_are_refused_before_there_is_a_folder(place: Path, tmp_path: Path) -> None:
    with pytest.raises(LorettaError, match="nonsense") as caught:
        warnings_of(place, tmp_path / "run", "adapter.target_modules=[nonsense]")

    assert caught.value.exit_code == 2
    assert not (tmp_path / "run").exists()


def test_a_training_that_diverges_slowly_is_warned_of(place: Path, tmp_path: Path, with_losses: Any) -> None:
    grown = [1.0]

    def grow(losses: torch.Tensor) -> torch.Tensor:
        grown[0] *= 1.1
        return losses * grown[0]

    with_losses(grow)
    said = warnings_of(place, tmp_path / "run", "training.max_steps=48", "training.select_by=metric")

    assert len(said) == 1
    assert "so training diverges" in said[0]
    assert flags_in(said[0])


def test_half_a_training_that_is_not_better_than_guessing_is_warned_of(place: Path, tmp_path: Path) -> None:
    settings = ("training.max_steps=100", "training.evaluate_every=100", "training.learning_rate=1e-7")
    said = warnings_of(place, tmp_path / "run", *settings)

    (half,) = [one for one in said if one.startswith("step 50: half of the training is over")]
    assert "what guessing by the labels' frequencies has" in half


def test_a_loss_that_only_seems_to_fall_is_no_better_than_guessing(
    place: Path, tmp_path: Path, with_losses: Any
) -> None:
    uneven = itertools.cycle([0.3, 1.7])
    drift = itertools.count()
    with_losses(lambda losses: losses - losses.detach() + next(uneven) - (next(drift) >= 37) * 0.2)
    settings = ("training.max_steps=100", "training.evaluate_every=100", "training.batch_size=16")
    said = warnings_of(place, tmp_path / "run", *settings)

    assert any(one.startswith("step 50: half of the training is over") for one in said)


def test_a_loss_that_falls_is_not_given_up(place: Path, tmp_path: Path, with_losses: Any) -> None:
    steps = itertools.count()
    with_losses(lambda losses: losses - losses.detach() + 1.6 - 0.01 * next(steps))
    settings = ("training.max_steps=100", "training.evaluate_every=100", "training.batch_size=16")
    said = warnings_of(place, tmp_path / "run", *settings)

    assert not any("half of the training" in one for one in said)


def test_half_of_a_training_that_is_a_warm_up_is_not_judged(place: Path, tmp_path: Path) -> None:
    settings = ("training.max_steps=100", "training.evaluate_every=100", "training.learning_rate=1e-7")
    said = warnings_of(place, tmp_path / "run", *settings, "training.warmup=90")

    assert not any("half of the training" in one for one in said)


def test_scores_are_held_against_their_mean() -> None:
    watched = Watched(Config(), torch.float32, RunFolder(Path("run")))
    said = faults.not_below_chance(watched, 50, 1.5, 1.2, kind="regression")

    assert "is not below 1.2, what always answering the mean score has" in said
    assert "label" not in said


def test_a_run_that_is_resumed_is_not_taken_for_a_new_one(
    place: Path, tmp_path: Path, with_losses: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loretta_cli.training.run import train

    run = RunFolder(tmp_path / "run")
    with pytest.MonkeyPatch.context() as cut:
        own = AdapterTrainer.training_step

        def stops(trainer: Any, *arguments: Any) -> Any:
            if trainer.state.global_step == 6:
                raise TrainingError("Stopped.")
            return own(trainer, *arguments)

        cut.setattr(AdapterTrainer, "training_step", stops)
        with pytest.raises(TrainingError, match="Stopped"):
            warnings_of(place, run.path)
    # A model that has learned all it can has neither loss nor gradient.
    with_losses(lambda losses: losses * 0)
    listener = Listener()
    train(run.read_config(), run.path, listener, resume=True)

    assert listener.warnings == []
