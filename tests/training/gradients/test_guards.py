"""The guards are a fold over the records: clipping, scaling, when to go back, and where to."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import pytest

from loretta_cli.config import ZerothOrderSettings
from loretta_cli.training.gradients.guards import GUESSING, LOSSES_KEPT, SIZES_KEPT, SIZES_NEEDED, Guard
from loretta_cli.training.gradients.trajectory import Record


def record(
    step: int,
    loss: float | None = 1.0,
    g: Sequence[float | None] = (1.0,),
    event: str = "",
    to: int | None = None,
) -> Record:
    return Record(step, loss, tuple(g), 1e-3, 0.1, 1.0, step, event, to)


def guard(losses: Sequence[float | None], **settings: object) -> Guard:
    made = Guard(ZerothOrderSettings(**settings))
    for step, loss in enumerate(losses):
        made.add(record(step, loss, () if loss is None else (1.0,), "skip" if loss is None else ""))
    return made


def test_nothing_is_clipped_before_enough_sizes_are_known() -> None:
    assert guard([1.0] * (SIZES_NEEDED - 1), clip=2.0).clipped((50.0,)) == ((50.0,), False)
    assert guard([1.0] * SIZES_NEEDED, clip=2.0).clipped((50.0,)) == ((2.0,), True)


def test_what_is_clipped_keeps_its_sign_and_a_lost_query_stays_lost() -> None:
    made = guard([1.0] * SIZES_NEEDED, clip=3.0)

    assert made.clipped((-9.0, None, 2.5, 3.0)) == ((-3.0, None, 2.5, 3.0), True)
    assert made.clipped((-3.0, None, 2.5)) == ((-3.0, None, 2.5), False)


def test_the_median_is_of_the_sizes_of_late() -> None:
    made = Guard(ZerothOrderSettings(clip=1.0))
    for step in range(SIZES_KEPT):
        made.add(record(step, g=(1000.0,)))
    for step in range(SIZES_KEPT):
        made.add(record(SIZES_KEPT + step, g=(-2.0 if step % 2 else 4.0,)))

    assert made.clipped((1000.0,))[0] == (3.0,)


def test_without_the_setting_nothing_is_clipped() -> None:
    assert guard([1.0] * 50, clip=None).clipped((1e9,)) == ((1e9,), False)


def test_slopes_of_a_metric_are_not_cut_to_zero_because_most_are() -> None:
    made = Guard(ZerothOrderSettings(clip=3.0))
    for step in range(40):
        made.add(record(step, -0.5, (2.0,) if step % 4 == 0 else (0.0,)))

    assert made.clipped((5.0, 7.0)) == ((5.0, 6.0), True)


def test_the_second_moment_is_adams_with_one_number_and_bias_correction() -> None:
    decay, made = 0.9, Guard(ZerothOrderSettings(second_moment=0.9))
    moment = 0.0
    for step, g in enumerate([(2.0,), (-4.0, 1.0), (0.5, None, 3.0)]):
        seen = [value for value in g if value is not None]
        moment = decay * moment + (1 - decay) * statistics.fmean(value**2 for value in seen)
        expected = 1 / math.sqrt(moment / (1 - decay ** (step + 1)))
        assert made.scale(g) == pytest.approx(expected, rel=1e-12)
        made.add(record(step, g=g))


def test_a_flat_loss_takes_no_step() -> None:
    assert Guard(ZerothOrderSettings(second_moment=0.9)).scale((0.0,)) == 0.0


def test_without_the_second_moment_the_scale_is_one() -> None:
    assert guard([1.0]).scale((7.0,)) == 1.0


def test_each_rollback_makes_steps_ten_times_shorter() -> None:
    made = guard([1.0])
    assert made.pace == 1
    for number, pace in enumerate((1e-1, 1e-2, 1e-3), start=1):
        made.add(record(number, None, (), "rollback", 0))
        assert made.pace == pytest.approx(pace, rel=1e-12)
        assert made.scale((7.0,)) == 1.0


CALM = [1.0] * LOSSES_KEPT


def test_a_loss_explodes_when_the_median_of_late_is_over_twice_that_of_the_beginning() -> None:
    assert not guard([*CALM, *[2.0] * LOSSES_KEPT]).has_exploded
    assert guard([*CALM, *[2.1] * LOSSES_KEPT]).has_exploded
    assert not guard([*CALM, 2.1, 2.1, 1.9, 1.9, 1.9]).has_exploded
    assert not guard([1.0, 9.0, 9.0, 9.0]).has_exploded, "too few losses to tell"
    assert not guard([*CALM, *[99.0] * 9], rollback=None).has_exploded
    assert guard([*CALM, *[1.4] * 5], rollback=1.3).has_exploded


def test_a_first_batch_that_is_easier_than_others_sets_off_nothing() -> None:
    losses = [0.57, 0.58, 0.95, 1.25, 0.9, 1.11, 1.58, 1.27, 1.54]

    for count in range(1, len(losses) + 1):
        assert not guard(losses[:count]).has_exploded


@pytest.mark.parametrize("first", [0.0, 1e-9, 0.01, 0.3])
def test_a_tiny_first_loss_is_measured_by_that_of_guessing(first: float) -> None:
    small = [first] * LOSSES_KEPT

    assert not guard([*small, *[2 * GUESSING] * LOSSES_KEPT]).has_exploded
    assert guard([*small, *[2.01 * GUESSING] * LOSSES_KEPT]).has_exploded
    assert not guard([*small, *[3 * GUESSING] * LOSSES_KEPT], rollback=3.0).has_exploded
    assert guard([*small, *[None] * LOSSES_KEPT]).has_exploded


def test_after_a_lucky_first_batch_usual_losses_set_off_nothing_and_are_calm() -> None:
    made = guard([0.01, *[0.9] * 10])
    made.saved(11)
    for step in range(11, 11 + LOSSES_KEPT):
        made.add(record(step, 0.9))

    assert not made.has_exploded
    assert made.good == 11


@pytest.mark.parametrize("loss", [4.1, 90.0, None])
def test_an_explosion_at_once_is_not_taken_for_the_beginning(loss: float | None) -> None:
    assert guard([1.0, *[loss] * LOSSES_KEPT]).has_exploded
    assert guard([1.0, *[loss] * (LOSSES_KEPT - 1)]).has_exploded


def test_losses_that_are_not_finite_count_as_exploded() -> None:
    assert guard([1.0, 1.0, None, None, None]).has_exploded
    assert not guard([1.0, 1.0, 1.0, None, None]).has_exploded


def test_minus_a_metric_explodes_only_when_it_is_not_finite() -> None:
    for first in (-0.9, 0.0):
        assert not guard([first, *[0.0] * LOSSES_KEPT]).has_exploded
        assert guard([first, *[None] * LOSSES_KEPT]).has_exploded


def test_the_losses_before_a_rollback_do_not_set_off_the_next_one() -> None:
    made = guard([1.0, *[9.0] * LOSSES_KEPT])
    made.add(record(6, None, (), "rollback", 0))

    assert not made.has_exploded
    assert made.is_calm
    for step in range(7, 6 + LOSSES_KEPT):
        made.add(record(step, 9.0))
        assert not made.has_exploded
    made.add(record(6 + LOSSES_KEPT, 9.0))
    assert made.has_exploded


def dead(loss: float = 0.6931) -> Guard:
    """After 20 steps that were well, losses that are the same at all points."""
    made = guard([1.0] * 20)
    for step in range(20, 20 + LOSSES_KEPT):
        assert not made.is_dead
        made.add(record(step, loss, (0.0, 0.0)))
    return made


def test_a_loss_that_no_longer_depends_on_the_parameters_has_exploded_however_low_it_is() -> None:
    assert dead().has_exploded
    assert not dead().is_calm


def test_a_loss_near_zero_may_be_flat() -> None:
    assert not dead(0.0).has_exploded
    assert dead(0.0).is_calm


def test_a_flat_metric_is_not_dead() -> None:
    assert not dead(-0.5).has_exploded


def test_a_step_without_finite_slopes_is_not_flat() -> None:
    made = guard([1.0] * 20)
    for step in range(20, 20 + LOSSES_KEPT):
        made.add(record(step, 0.7, (0.0,)) if step % 2 else record(step, None, (), "skip"))

    assert not made.is_dead


def test_a_training_that_never_had_a_slope_is_not_dead_but_has_not_begun() -> None:
    made = Guard(ZerothOrderSettings())
    for step in range(30):
        made.add(record(step, 0.7, (0.0,)))

    assert made.has_not_begun
    assert not made.has_exploded
    assert not guard([1.0]).has_not_begun


def test_a_point_saved_while_dead_is_not_good() -> None:
    made = dead()
    made.saved(25)
    for step in range(25, 25 + LOSSES_KEPT):
        made.add(record(step, 0.6931, (0.0,)))

    assert made.good == 0


def test_the_slopes_of_an_explosion_are_forgotten_with_it() -> None:
    made = guard([1.0] * 20, second_moment=0.99, clip=5.0)
    made.saved(20)
    for step in range(20, 20 + LOSSES_KEPT):
        made.add(record(step, 1.0))
    before = made.scale((1.0,)), made.clipped((9.0,))
    for step in range(25, 25 + 60):
        made.add(record(step, 50.0, (1e6,)))
    assert made.scale((1.0,)) < 1e-5
    made.add(record(85, None, (), "rollback", 20))

    assert made.good == 20
    assert (made.scale((1.0,)), made.clipped((9.0,))) == before


def test_a_saved_point_is_good_once_the_losses_after_it_are_calm() -> None:
    made = guard([1.0] * 10)
    made.saved(10)

    for step in range(10, 10 + LOSSES_KEPT):
        assert made.good == 0
        made.add(record(step, 1.0))
    assert made.good == 10


@pytest.mark.parametrize("after", [1.6, None])
def test_a_saved_point_is_not_good_if_the_losses_after_it_are_not(after: float | None) -> None:
    made = guard([1.0] * 10)
    made.saved(10)
    for step in range(10, 10 + LOSSES_KEPT):
        made.add(record(step, after))

    assert made.good == 0


def test_points_saved_at_every_step_are_judged_one_by_one() -> None:
    made = Guard(ZerothOrderSettings())
    for step in range(20):
        made.add(record(step, 1.0))
        made.saved(step + 1)

    assert made.good == 20 - LOSSES_KEPT


def test_a_point_saved_shortly_before_a_rollback_is_forgotten() -> None:
    made = guard([1.0] * 10)
    made.saved(10)
    made.add(record(10, None, (), "skip"))
    made.add(record(11, None, (), "rollback", 0))
    for step in range(12, 30):
        made.add(record(step, 1.0))

    assert made.good == 0


def test_events_are_counted() -> None:
    made = guard([1.0, None, None])
    made.add(record(3, event="clip"))
    made.add(record(4, None, (), "rollback", 0))

    assert dict(made.events) == {"skip": 2, "clip": 1, "rollback": 1}


def test_a_guard_that_read_the_records_decides_as_the_one_that_was_there() -> None:
    settings = ZerothOrderSettings(second_moment=0.95, clip=2.0)
    live, read, records = Guard(settings), Guard(settings), []
    for step in range(60):
        g = (math.sin(step * 1.7) * (9 if step % 11 == 0 else 1), None if step % 7 == 0 else math.cos(step))
        cut, was_cut = live.clipped(g)
        event = "rollback" if live.has_exploded else "clip" if was_cut else ""
        loss = 1 + step / 10 if step % 13 else None
        one = (
            record(step, None, (), "rollback", live.good)
            if event == "rollback"
            else record(step, loss, cut, event)
        )
        records.append(one)
        live.add(one)
        if step % 5 == 4:
            live.saved(step + 1)
    for one in records:
        read.add(one)
        if one.step % 5 == 4:
            read.saved(one.step + 1)

    assert live.events["rollback"]
    assert live.events["clip"]
    probe = (5.0, None, -0.3)
    assert (read.clipped(probe), read.scale(probe)) == (live.clipped(probe), live.scale(probe))
    assert (read.good, read.has_exploded, read.events) == (live.good, live.has_exploded, live.events)
