"""Queries by the epoch against closed forms, and how long a budget of forward passes lasts."""

from __future__ import annotations

import math
from typing import Any

import pytest

from loretta_cli.config import ZerothOrderSettings, load_config
from loretta_cli.errors import ConfigError
from loretta_cli.training.gradients.query_schedules import Length, length_of_training, passes_of, queries_at

PAPER = ZerothOrderSettings(schedule="adazeta", alpha=0.85, beta=0.45, max_queries=20)


@pytest.mark.parametrize(
    ("epoch", "queries"),
    # 0.85 * epoch ** 0.45: 0.85, 1.16, 1.90, 2.04, 2.40, 8.34, 19.86, 20.66.
    [(1, 1), (2, 1), (6, 1), (7, 2), (10, 2), (160, 8), (1100, 19), (1200, 20), (10**6, 20)],
)
def test_adazeta_is_the_papers_formula(epoch: int, queries: int) -> None:
    assert queries_at(PAPER, epoch, 10**6) == queries


def test_adazeta_over_160_epochs_reaches_8_and_no_more() -> None:
    asked = [queries_at(PAPER, epoch, 160) for epoch in range(1, 161)]

    # q queries or more are asked from epoch (q / 0.85) ** (1 / 0.45) on.
    begins = [math.ceil((queries / 0.85) ** (1 / 0.45)) for queries in range(2, 21)]
    assert sum(asked) == 160 + sum(max(0, 161 - begin) for begin in begins)
    assert asked == sorted(asked)
    assert asked[-1] == 8


def test_linear_goes_from_the_first_number_to_the_last() -> None:
    settings = ZerothOrderSettings(schedule="linear", queries=2, max_queries=6)

    assert [queries_at(settings, epoch, 5) for epoch in range(1, 6)] == [2, 3, 4, 5, 6]
    assert queries_at(settings, 1, 1) == 2


def test_constant_stays() -> None:
    settings = ZerothOrderSettings(queries=3)

    assert {queries_at(settings, epoch, 9) for epoch in range(1, 10)} == {3}


def test_a_query_takes_two_passes_or_one_and_one_in_common() -> None:
    assert passes_of(ZerothOrderSettings(estimator="central"), 4) == 8
    assert passes_of(ZerothOrderSettings(estimator="one-sided"), 4) == 5


def _length(*settings: str, rows: int = 32) -> Length:
    always = ("training.gradient=zo", "training.batch_size=4", "training.epochs=100")
    config: Any = load_config(None, {}, (*always, *settings)).config
    return length_of_training(config, rows)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (("zo.queries=3", "zo.max_forward_passes=100"), Length(16, 2)),
        (("zo.queries=3", "zo.max_forward_passes=96"), Length(16, 2)),
        (("zo.queries=3", "zo.max_forward_passes=95"), Length(15, 2)),
        (("zo.queries=3", "zo.max_forward_passes=100", "zo.estimator=one-sided"), Length(25, 4)),
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
    assert _length(*settings) == expected


def test_a_last_batch_that_is_not_full_counts_as_a_step() -> None:
    assert _length("training.epochs=2", rows=33) == Length(18, 2)


def test_a_budget_below_one_step_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"zo.max_forward_passes is 5, less than the first step needs"
    ) as caught:
        _length("zo.queries=3", "zo.max_forward_passes=5")

    assert "zo.queries" in caught.value.hint
