"""The curves of runs: as lines of text on one axis of steps, as numbers for ``--json``, as a picture."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loretta_cli.artifacts.run_state import RunState
from loretta_cli.artifacts.trajectory_log import read_estimates
from loretta_cli.errors import RunError
from loretta_cli.report.courses import Course, common_bounds, course_of, draw
from loretta_cli.report.estimates import Estimates
from loretta_cli.report.formatting import display_number

WIDEST, NARROWEST = 60, 10
MOST_POINTS = 1000
"""Of a curve in ``--json``; a zeroth-order training has a point for every step."""
_GAP = 2
"""Cells between two columns."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """What there is to draw on.

    Args:
        width: Cells in a line of the terminal.
        ascii_only: Whether blocks cannot be shown.
    """

    width: int
    ascii_only: bool

    @classmethod
    def of_stdout(cls) -> Canvas:
        """That of this process; 80 wide where stdout is no terminal and ``COLUMNS`` is not set."""
        try:
            "█".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
        except (UnicodeError, LookupError):
            return cls(shutil.get_terminal_size().columns, ascii_only=True)
        return cls(shutil.get_terminal_size().columns, ascii_only=False)

    def cells(self, others: Sequence[Sequence[str]]) -> int:
        """The cells for a curve.

        Args:
            others: The rows of the other columns of its table, its heads among them.
        """
        beside = sum(max(map(len, column)) + _GAP for column in zip(*others, strict=True))
        return max(NARROWEST, min(WIDEST, self.width - beside))


def curves_of(state: RunState, estimates: Estimates) -> dict[str, Course]:
    """The curves of a run by their names, those that have a point.

    Args:
        state: Of the run.
        estimates: Of its trajectory; empty for exact gradients.
    """
    split, metric = state.split, state.main_metric
    found = {"train loss": course_of(state.records, "train", "loss")}
    found[f"{split} loss"] = course_of(state.records, split, "loss")
    if metric is not None and metric != "loss":
        found[f"{split} {metric.replace('_', ' ')}"] = course_of(state.records, split, metric)
    found["learning rate"] = course_of(state.records, "train", "learning_rate")
    if estimates:
        # A step that goes back to an earlier point asks nothing.
        asked = [pair for pair in zip(estimates.steps, estimates.queries, strict=True) if pair[1]]
        found["queries"] = Course([step for step, _ in asked], [float(count) for _, count in asked])
        found["projected gradient"] = Course(estimates.steps, estimates.sizes)
    return {name: course for name, course in found.items() if course.steps}


def estimates_of(state: RunState) -> Estimates:
    """What its trajectory says; empty for a run that has none."""
    return read_estimates(state.run.trajectory)


def rows(
    named: Sequence[tuple[str, Mapping[str, Course]]], canvas: Canvas, *, one_scale: bool
) -> list[tuple[str, ...]]:
    """Rows of a table: curve, run, course, and the first, last, least and greatest value.

    Args:
        named: Of each run a letter, and its curves; the letter is left out of the rows of a single run.
        canvas: To draw on.
        one_scale: Whether curves of one name have one scale.
    """
    names = dict.fromkeys(name for _, courses in named for name in courses)
    several = len(named) > 1
    drawn = {name: [(letter, found[name]) for letter, found in named if name in found] for name in names}
    beside = {
        (name, letter): (name if index == 0 else "", *([letter] if several else []), *_numbers(name, course))
        for name, courses in drawn.items()
        for index, (letter, course) in enumerate(courses)
    }
    heads = columns(several=several)
    course_at = heads.index("course")
    width = canvas.cells([heads[:course_at] + heads[course_at + 1 :], *beside.values()])
    last_step = max((course.steps[-1] for _, found in named for course in found.values()), default=1)
    lines = []
    for name, courses in drawn.items():
        bounds = common_bounds([one for _, one in courses], width, last_step) if one_scale else None
        for letter, course in courses:
            line = draw(course, width, last_step, bounds=bounds, ascii_only=canvas.ascii_only)
            # White space in front of the line would be taken off.
            line = line.replace(" ", "," if canvas.ascii_only else "·")
            others = beside[name, letter]
            lines.append((*others[:course_at], line, *others[course_at:]))
    return lines


def columns(*, several: bool) -> tuple[str, ...]:
    """The heads of these rows."""
    return ("curve", *(["run"] if several else []), "course", "first", "last", "least", "most")


def _numbers(name: str, course: Course) -> tuple[str, ...]:
    finite = course.finite
    if not finite:
        return ("-", "-", "-", "-")
    kind = "learning_rate" if name == "learning rate" else name
    values = (finite[0], finite[-1], min(finite), max(finite))
    if all(value.is_integer() and abs(value) < 1e6 for value in finite):
        return tuple(f"{value:.0f}" for value in values)
    return tuple(display_number(kind, value) for value in values)


def as_json(courses: Mapping[str, Course]) -> dict[str, Any]:
    """The points of the curves; of long ones evenly spaced ones, the last among them."""
    return {name.replace(" ", "_"): _points(course) for name, course in courses.items()}


def _points(course: Course) -> dict[str, Any]:
    every = -(-len(course.steps) // MOST_POINTS)
    steps, values = list(course.steps)[::-1][::every][::-1], list(course.values)[::-1][::every][::-1]
    return {"steps": steps, "values": values}


def draw_picture(state: RunState, path: Path) -> None:
    """Draw the curves so far.

    Raises:
        RunError: If there is nothing to draw.
        OutputError: If the file cannot be written.
    """
    from loretta_cli.artifacts.files import explained
    from loretta_cli.report.curves import draw_curves

    if not state.records:
        raise RunError(f"The run {state.run.path} has logged nothing yet.", hint="Try again later.")
    metric = state.main_metric or "loss"
    with explained(path):
        draw_curves(
            state.records,
            path,
            main_metric=metric,
            split=state.split,
            best_step=state.best_step,
            estimates=estimates_of(state),
        )
