"""Curves in one line of text."""

from __future__ import annotations

import math
import sys

import pytest

from loretta_cli.report.sparkline import sparkline


def test_a_rising_series_climbs_from_the_lowest_block_to_the_highest() -> None:
    assert sparkline(range(8), 20) == "▁▂▃▄▅▆▇█"


def test_a_terminal_without_unicode_gets_eight_ascii_characters() -> None:
    drawn = sparkline(range(8), 20, ascii_only=True)

    assert drawn.isascii()
    assert len(set(drawn)) == 8


def test_fewer_values_than_the_width_are_not_stretched() -> None:
    assert sparkline([1.0, 2.0, 1.0], 40) == "▁█▁"


def test_more_values_than_the_width_are_drawn_at_the_mean_of_each_bucket() -> None:
    assert sparkline([0, 0, 0, 14, 14, 14], 3) == "▁▅█"


def test_every_value_falls_into_one_bucket() -> None:
    for count in range(1, 40):
        for width in range(1, 12):
            assert len(sparkline([1.0] * count, width)) == min(count, width)


def test_a_series_of_one_value_is_drawn_at_half_height() -> None:
    assert sparkline([0.5] * 5, 10) == "▄" * 5


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, None])
def test_what_is_no_number_is_marked_and_does_not_flatten_the_rest(odd: float | None) -> None:
    assert sparkline([0.0, odd, 1.0], 10) == "▁x█"
    assert sparkline([0.0, 0.0, odd, 1.0], 2) == "▁█"
    assert sparkline([odd, odd], 10) == "xx"


def test_no_values_are_no_characters() -> None:
    assert sparkline([], 10) == ""


def test_two_curves_within_the_same_bounds_have_one_scale() -> None:
    assert sparkline([0.0, 1.0], 10, bounds=(0.0, 2.0)) == "▁▅"
    assert sparkline([5.0, -5.0], 10, bounds=(0.0, 2.0)) == "█▁"


def test_the_largest_numbers_there_are_do_not_overflow() -> None:
    greatest = sys.float_info.max

    assert sparkline([-greatest, 0.0, greatest], 10) in ("▁▄█", "▁▅█")
    assert sparkline([greatest] * 3, 1) == "▄"
