"""How long a training is: never longer than its budget of forward passes pays for."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from loretta_cli.config import load_config
from loretta_cli.errors import ConfigError
from loretta_cli.training.gradients.length import Length, length_of_training
from loretta_cli.training.gradients.query_schedules import passes_of, queries_at

FREE_START = ("zo.epsilon=0.001", "zo.backend=sequential")
"""Nothing to measure and nothing to choose."""


def _config(*settings: str) -> Any:
    always = ("training.gradient=zo", "training.batch_size=4", "training.epochs=100")
    return load_config(None, {}, (*always, *settings)).config


def _length(*settings: str, rows: int = 32) -> Length:
    return length_of_training(_config(*settings), rows)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (("zo.queries=3", "zo.max_forward_passes=100"), Length(16, 2)),
        (("zo.queries=3", "zo.max_forward_passes=96"), Length(16, 2)),
        (("zo.queries=3", "zo.max_forward_passes=95"), Length(15, 2)),
        (("zo.queries=3", "zo.max_forward_passes=100", "zo.estimator=one-sided"), Length(25, 4)),
        # Queries of the epochs, of which there are 2, then 3: 1 and 3; 1, 2 and 3. So 8 * 2 + 8 * 4 + 2 * 6.
        (("zo.schedule=linear", "zo.max_queries=3", "zo.max_forward_passes=60"), Length(18, 3)),
        (("zo.schedule=linear", "zo.max_queries=3", "zo.max_forward_passes=53"), Length(14, 2)),
        # Half as many steps an epoch, each with twice the passes.
        (("zo.queries=3", "zo.max_forward_passes=100", "training.gradient_accumulation=2"), Length(8, 2)),
        # Queries of the epochs: 2, 2, 3; so 8 + 8 steps of 4 passes, then 2 of 6.
        (
            ("zo.schedule=adazeta", "zo.alpha=2", "zo.beta=0.5", "zo.max_forward_passes=77"),
            Length(18, 3),
        ),
        (("training.max_steps=10", "zo.max_forward_passes=1000"), Length(10, 2)),
        ((), Length(800, 100)),
        (("training.epochs=0.5",), Length(4, 1)),
    ],
)
def test_the_budget_and_the_steps_end_a_training(settings: tuple[str, ...], expected: Length) -> None:
    assert _length(*FREE_START, *settings) == expected


@pytest.mark.parametrize("budget", [2, 7, 100, 1001, 300_000])
def test_a_budget_alone_is_used_up(budget: int) -> None:
    settings = (*FREE_START, f"zo.max_forward_passes={budget}", "training.epochs=null")

    assert _length(*settings).steps == budget // 2


def test_a_last_batch_that_is_not_full_counts_as_a_step() -> None:
    assert _length("training.epochs=2", rows=33) == Length(18, 2)


@pytest.mark.parametrize("seed", range(40))
def test_the_steps_are_the_most_that_the_budget_pays_for(seed: int) -> None:
    drawn = random.Random(seed)
    schedules = {
        "constant": (f"zo.queries={drawn.randint(1, 4)}",),
        "linear": ("zo.queries=1", f"zo.max_queries={drawn.randint(1, 9)}"),
        "adazeta": ("zo.alpha=1.3", f"zo.beta={drawn.choice([0.3, 0.9])}", "zo.max_queries=7"),
    }
    schedule, rows = drawn.choice(list(schedules)), drawn.randint(1, 40)
    settings = (
        f"zo.schedule={schedule}",
        f"zo.estimator={drawn.choice(['central', 'one-sided'])}",
        f"training.gradient_accumulation={drawn.randint(1, 3)}",
        f"zo.max_forward_passes={drawn.randint(60, 2000)}",
        *schedules[schedule],
    )
    config = _config(*FREE_START, *settings)
    an_epoch = math.ceil(math.ceil(rows / 4) / config.training.gradient_accumulation)

    def passes(steps: int) -> int:
        """Counted step by step, as a run does."""
        epochs = math.ceil(steps / an_epoch)
        queries = [queries_at(config.zo, step // an_epoch + 1, epochs) for step in range(steps)]
        return sum(passes_of(config.zo, one) for one in queries) * config.training.gradient_accumulation

    found = length_of_training(config, rows)

    assert found.epochs == math.ceil(found.steps / an_epoch)
    assert passes(found.steps) <= config.zo.max_forward_passes
    assert found.steps == 100 * an_epoch or passes(found.steps + 1) > config.zo.max_forward_passes


@pytest.mark.parametrize(
    ("settings", "start"),
    [
        (("zo.backend=sequential",), 64),
        (("zo.backend=sequential", "zo.estimator=one-sided", "zo.queries=3"), 33),
        # 4 points: one pass for the memory; each distance from eps to 1, and the copies.
        # As much where the clock is not asked: a run that repeats what auto chose is as long.
        (("zo.epsilon=0.25", "zo.backend=batched", "zo.queries=2"), 1 + 4 * (2 + 1) + 3 * (2 + 4)),
        (("zo.epsilon=0.25", "zo.queries=2"), 1 + 4 * (2 + 1) + 3 * (2 + 4)),
        (("zo.queries=2",), 64 + 1 + 4 * (7 + 1) + 3 * (2 + 4)),
        (("training.objective=accuracy",), 64),
        (("adapter.method=full",), 64),
    ],
)
def test_the_most_that_the_start_can_take_is_set_aside(settings: tuple[str, ...], start: int) -> None:
    budget = 100
    free = _length(*FREE_START, *settings, *FREE_START, f"zo.max_forward_passes={budget}")

    assert _length(*settings, f"zo.max_forward_passes={budget + start}") == free


def test_a_budget_below_one_step_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        _length(*FREE_START, "zo.queries=3", "zo.max_forward_passes=5")

    assert caught.value.message == "zo.max_forward_passes is 5, but 6 are needed: 6 for the first step."
    assert caught.value.hint == "Set it to 6 or more."


def test_a_budget_below_what_the_start_takes_is_refused_with_what_is_needed() -> None:
    with pytest.raises(ConfigError) as caught:
        _length("zo.max_forward_passes=94")

    needed = 64 + (1 + 2 * (7 + 1) + 3 * (2 + 2)) + 2
    assert caught.value.message == (
        f"zo.max_forward_passes is 94, but {needed} are needed: 64 to measure zo.epsilon, "
        "up to 29 to try zo.backend=auto and 2 for the first step."
    )
    assert f"Set it to {needed} or more, or set zo.epsilon" in caught.value.hint
    assert "zo.backend=sequential" in caught.value.hint
    assert _length(f"zo.max_forward_passes={needed}") == Length(1, 1)
