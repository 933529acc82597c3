"""Curves as lines of text on an axis of steps."""

from __future__ import annotations

import math

from loretta_cli.report.courses import Course, cells, common_bounds, course_of, draw


def test_a_course_is_picked_by_split_and_name_in_the_order_of_steps() -> None:
    records: list[dict[str, object]] = [
        {"step": 2, "split": "train", "loss": 0.5},
        {"step": 1, "split": "train", "loss": 0.9},
        {"step": 1, "split": "validation", "loss": 9.0},
        {"step": 3, "split": "train", "learning_rate": 1.0},
        {"step": 4, "split": "train", "loss": None},
        {"step": 5, "split": "train", "loss": math.inf},
    ]

    course = course_of(records, "train", "loss")

    assert (course.steps, course.values) == ([1, 2, 4, 5], [0.9, 0.5, None, None])
    assert course.finite == [0.9, 0.5]


def test_a_cell_has_the_mean_of_its_steps() -> None:
    assert cells(Course([1, 2, 3, 4], [1.0, 3.0, 5.0, 7.0]), 2, 4) == [2.0, 6.0]


def test_between_evaluations_the_last_known_value_stands() -> None:
    assert cells(Course([2, 6], [1.0, 3.0]), 8, 8) == [None, 1.0, 1.0, 1.0, 1.0, 3.0]


def test_before_the_first_value_the_line_is_blank_and_it_ends_where_the_course_does() -> None:
    assert draw(Course([2, 6], [1.0, 3.0]), 8, 8) == " ▁▁▁▁█"


def test_a_value_that_is_no_number_is_marked_even_if_it_is_the_first() -> None:
    assert draw(Course([1, 2, 3], [None, 1.0, 2.0]), 3, 3) == "x▁█"
    assert draw(Course([1, 2, 3], [1.0, 2.0, None]), 3, 3) == "▁█x"


def test_there_are_no_more_cells_than_steps() -> None:
    assert draw(Course([1, 2, 3], [1.0, 2.0, 3.0]), 60, 3) == "▁▅█"


def test_two_courses_of_different_length_share_axis_and_scale() -> None:
    short, long = Course([1, 2], [0.0, 1.0]), Course([1, 2, 3, 4], [0.0, 2.0, 2.0, 2.0])

    bounds = common_bounds([short, long], 4, 4)

    assert bounds == (0.0, 2.0)
    assert draw(short, 4, 4, bounds=bounds) == "▁▅"
    assert draw(long, 4, 4, bounds=bounds) == "▁███"


def test_nothing_is_drawn_of_nothing() -> None:
    assert draw(Course([], []), 10, 10) == ""
    assert common_bounds([Course([], [])], 10, 10) is None
    assert draw(Course([1], [None]), 10, 10) == "x"


def test_a_step_of_zero_is_in_the_first_cell() -> None:
    assert draw(Course([0], [1.0]), 10, 0) == "▄"
