"""Queries by the epoch against closed forms."""

from __future__ import annotations

import math

import pytest

from loretta_cli.config import ZerothOrderSettings
from loretta_cli.training.gradients.query_schedules import most_queries, passes_of, queries_at

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


def test_the_most_queries_are_those_of_the_last_epoch_whatever_the_schedule() -> None:
    for settings in (PAPER, ZerothOrderSettings(schedule="linear", queries=2, max_queries=6)):
        for epochs in (1, 2, 50):
            asked = [queries_at(settings, epoch, epochs) for epoch in range(1, epochs + 1)]
            assert most_queries(settings, epochs) == max(asked)
