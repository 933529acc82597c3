"""The time to go, against clocks that are set by hand."""

from __future__ import annotations

import pytest

from loretta_cli.report.pace import Remaining


class Clock:
    """Tells the time that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def after(clock: Clock, remaining: Remaining, *steps: tuple[float, int]) -> Remaining:
    """Let steps end so many seconds after the ones before."""
    for seconds, step in steps:
        clock.now += seconds
        remaining.progress(step)
    return remaining


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_before_the_first_step_nothing_is_known(clock: Clock) -> None:
    remaining = Remaining(10, clock=clock)
    clock.now += 5
    assert remaining.seconds() is None
    assert remaining.elapsed == 5


def test_steps_of_one_length_take_as_long_as_there_are(clock: Clock) -> None:
    remaining = after(clock, Remaining(100, clock=clock), *((2.0, step) for step in range(1, 41)))
    assert remaining.seconds() == pytest.approx(60 * 2)


def test_a_slow_first_step_counts_only_as_long_as_it_is_alone(clock: Clock) -> None:
    remaining = after(clock, Remaining(11, clock=clock), (30.0, 1))
    assert remaining.seconds() == pytest.approx(300)
    after(clock, remaining, (2.0, 2))
    assert remaining.seconds() == pytest.approx(9 * 2)


def test_a_resumed_run_counts_its_own_steps(clock: Clock) -> None:
    remaining = after(clock, Remaining(100, 90, clock=clock), (3.0, 91))
    assert remaining.seconds() == pytest.approx(9 * 3)


def test_between_two_steps_the_time_runs_down_and_never_below_zero(clock: Clock) -> None:
    remaining = after(clock, Remaining(4, clock=clock), (10.0, 1), (10.0, 2), (10.0, 3))
    clock.now += 4
    assert remaining.seconds() == pytest.approx(6)
    clock.now += 40
    assert remaining.seconds() == 0


def test_what_happens_between_steps_counts(clock: Clock) -> None:
    """An evaluation of 20 s after every fifth step of 1 s."""
    steps = [(21.0 if step % 5 == 1 and step > 1 else 1.0, step) for step in range(1, 52)]
    remaining = after(clock, Remaining(101, clock=clock), *steps)
    assert remaining.seconds() == pytest.approx(50 * 5, rel=0.01)


def test_only_the_last_quarter_of_an_hour_counts(clock: Clock) -> None:
    slow = [(60.0, step) for step in range(1, 61)]
    fast = [(1.0, step) for step in range(61, 1061)]
    remaining = after(clock, Remaining(2060, clock=clock), *slow, *fast)
    assert remaining.seconds() == pytest.approx(1000, rel=0.01)


def test_a_million_quick_steps_leave_few_marks(clock: Clock) -> None:
    remaining = after(clock, Remaining(20_000, clock=clock), *((0.01, step) for step in range(1, 10_001)))
    assert remaining.seconds() == pytest.approx(100, rel=0.02)
    assert len(remaining._marks) <= 101
