"""What a training will do, beside what trainings do."""

from __future__ import annotations

import pytest

from loretta_cli.config import Config, load_config
from loretta_cli.errors import ConfigError
from loretta_cli.training.gradients.forecast import forecast


def config(*settings: str, gradient: str = "backprop") -> Config:
    given = ("training.batch_size=4", "training.epochs=3", "training.warmup=0.1", *settings)
    return load_config(None, {"training.gradient": gradient}, given).config


def test_epochs_of_batches_make_steps_and_evaluations() -> None:
    found = forecast(config(), 18)

    assert (found.steps, found.epochs, found.evaluations) == (15, 3, 3)
    assert found.warmup_steps == 2
    assert found.forward_passes == 15
    assert found.as_json()["start_passes"] == 0


def test_batches_that_are_summed_up_are_fewer_steps_of_as_many_passes() -> None:
    found = forecast(config("training.gradient_accumulation=2"), 18)

    assert (found.steps, found.forward_passes) == (9, 15)


def test_the_last_step_is_evaluated_too() -> None:
    assert forecast(config("training.evaluate_every=4"), 18).evaluations == 4
    assert forecast(config("training.max_steps=7"), 18).evaluations == 2


def test_zeroth_order_steps_have_two_passes_a_query_and_some_to_start() -> None:
    settings = ("zo.queries=3", "zo.epsilon=0.001", "zo.backend=sequential")
    found = forecast(config(*settings, gradient="zo"), 18)

    assert found.forward_passes == 15 * 6
    assert forecast(config("zo.queries=3", gradient="zo"), 18).start_passes > 0


def test_a_budget_is_never_exceeded_and_one_that_is_too_small_is_refused() -> None:
    settings = ("zo.max_forward_passes=20", "zo.epsilon=0.001", "zo.backend=sequential")

    assert forecast(config(*settings, gradient="zo"), 18).forward_passes <= 20
    with pytest.raises(ConfigError, match="max_forward_passes is 1"):
        forecast(config("zo.max_forward_passes=1", *settings[1:], gradient="zo"), 18)
