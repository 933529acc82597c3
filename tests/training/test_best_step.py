"""Which evaluation is the best: of equal metrics the lower loss."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from transformers import TrainerState, TrainingArguments

from loretta_cli.evaluation.evaluate import Evaluation, evaluate
from loretta_cli.report import SilentReporter
from loretta_cli.training.best_step import is_best
from tests.training.trainers import make_place, run_of


def arguments(metric: str, *, greater: bool) -> TrainingArguments:
    return cast("TrainingArguments", SimpleNamespace(metric_for_best_model=metric, greater_is_better=greater))


def state(best: float | None, loss: float | None = None) -> TrainerState:
    made = TrainerState()
    if best is not None:
        made.best_metric, made.best_global_step = best, 4
        made.log_history = [{"step": 2, "eval_loss": 0.0}, {"step": 4, "loss": 0.1}]
        made.log_history += (
            [{"step": 4, "eval_accuracy": best, "eval_loss": loss}] if loss is not None else []
        )
    return made


@pytest.mark.parametrize(
    ("before", "found", "is_it"),
    [
        (None, (0.1, 9.0), True),
        ((0.5, 1.0), (0.6, 9.0), True),
        ((0.5, 1.0), (0.4, 0.1), False),
        ((0.5, 1.0), (0.5, 0.9), True),
        ((0.5, 1.0), (0.5, 1.0), False),
        ((0.5, 1.0), (0.5, 1.1), False),
        ((0.5, 1.0), (0.5, float("nan")), False),
        ((0.5, None), (0.5, 0.1), False),
        ((0.5, 1.0), (float("nan"), 0.1), False),
        (None, (float("nan"), 0.1), False),
        (None, (float("inf"), 0.1), False),
    ],
)
def test_the_metric_comes_first_then_the_loss(
    before: tuple[float, float | None] | None, found: tuple[float, float], is_it: bool
) -> None:
    metrics = {"eval_accuracy": found[0], "eval_loss": found[1]}
    so_far = state(*before) if before else state(None)
    assert is_best(so_far, metrics, arguments("accuracy", greater=True)) is is_it


def test_a_loss_that_chooses_is_better_if_it_is_lower() -> None:
    by_loss = arguments("loss", greater=False)
    made = state(0.5)
    made.log_history.append({"step": 4, "eval_loss": 0.5})
    assert is_best(made, {"eval_loss": 0.4}, by_loss)
    assert not is_best(made, {"eval_loss": 0.5}, by_loss)
    assert not is_best(made, {"eval_loss": 0.6}, by_loss)


LOSSES = (0.9, 0.5, 0.7, 0.4, 0.6)


def test_a_run_keeps_the_checkpoint_with_the_lowest_loss_of_equal_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses, shown = iter(LOSSES), []

    def one_metric(*given: Any, **options: Any) -> Evaluation:
        found = evaluate(*given, **options)
        return dataclasses.replace(found, metrics={"accuracy": 0.75, "loss": next(losses)})

    def evaluated(reporter: SilentReporter, step: int, values: object, **more: Any) -> None:
        shown.append((step, more["is_best"]))

    monkeypatch.setattr("loretta_cli.training.run.evaluate", one_metric)
    monkeypatch.setattr(SilentReporter, "evaluated", evaluated)
    steps = ("training.max_steps=10", "training.evaluate_every=2", "training.learning_rate=0.01")

    run = run_of(make_place(tmp_path), tmp_path / "run", *steps)

    assert shown == [(2, True), (4, True), (6, False), (8, True), (10, False)]
    assert json.loads(run.report_file.read_text(encoding="utf-8"))["best_step"] == 8
    chosen = adapter(run.checkpoints / "checkpoint-8")
    assert adapter(run.best) == chosen == adapter(run.adapter)
    assert adapter(run.checkpoints / "checkpoint-4") != chosen


def adapter(folder: Path) -> bytes:
    return (folder / "adapter_model.safetensors").read_bytes()
