"""The course of a value over a training as a line of text, on an axis of optimizer steps.

Two curves of one width and one last step can be read below each other. Imports :mod:`report.sparkline`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loretta_cli.report.sparkline import bucket_means, sparkline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Course:
    """A value at some steps, in their order; None where it was not a finite number.

    Args:
        steps: Optimizer steps.
        values: As many.
    """

    steps: Sequence[int]
    values: Sequence[float | None]

    @property
    def finite(self) -> list[float]:
        """The values that are numbers."""
        return [value for value in self.values if value is not None]


def course_of(records: Sequence[Mapping[str, object]], split: str, name: str) -> Course:
    """The course of ``name`` in the log of a run, of one split.

    Args:
        records: As :meth:`MetricsLog.read` gives them.
        split: ``train``, or that of the evaluations.
        name: Of the value.
    """
    points: dict[int, float | None] = {}
    for record in records:
        step, value = record.get("step"), record.get(name)
        if record.get("split") != split or name not in record or not isinstance(step, int):
            continue
        is_number = isinstance(value, int | float) and math.isfinite(value)
        points[step] = float(value) if is_number else None  # type: ignore[arg-type]
    steps = sorted(points)
    return Course(steps, [points[step] for step in steps])


def cells(course: Course, width: int, last_step: int) -> list[float | None]:
    """What each character of the line stands for: the mean over its steps, or the value known by then.

    Args:
        course: With a step at least.
        width: Characters for the steps from 1 to ``last_step``; no more than there are steps.
        last_step: Of the axis.

    Returns:
        As many as the course reaches; the first ones are None where nothing was known yet.
    """
    width = max(1, min(width, last_step))
    found: list[list[float | None]] = [[] for _ in range(width)]
    for step, value in zip(course.steps, course.values, strict=True):
        place = -(-max(step, 1) * width // max(last_step, 1)) - 1
        found[min(place, width - 1)].append(value)
    reached = max(index for index, values in enumerate(found) if values)
    drawn: list[float | None] = []
    for values in found[: reached + 1]:
        drawn.append(bucket_means(values, 1)[0] if values else drawn[-1] if drawn else None)
    return drawn


def draw(
    course: Course,
    width: int,
    last_step: int,
    *,
    bounds: tuple[float, float] | None = None,
    ascii_only: bool = False,
) -> str:
    """The line: spaces before the first value, then blocks; ``x`` where the value was not a number.

    Args:
        course: To draw.
        width: As of :func:`cells`.
        last_step: As of :func:`cells`.
        bounds: As of :func:`sparkline`.
        ascii_only: As of :func:`sparkline`.
    """
    if not course.steps:
        return ""
    values = cells(course, width, last_step)
    first = cells(Course(course.steps[:1], [0.0]), width, last_step)
    lead = len(first) - 1
    return " " * lead + sparkline(values[lead:], width, bounds=bounds, ascii_only=ascii_only)


def common_bounds(courses: Sequence[Course], width: int, last_step: int) -> tuple[float, float] | None:
    """The bounds between which all the lines lie; None where there is no number.

    Args:
        courses: To draw.
        width: As of :func:`cells`.
        last_step: As of :func:`cells`.
    """
    drawn = [value for course in courses if course.steps for value in cells(course, width, last_step)]
    numbers = [value for value in drawn if value is not None]
    return (min(numbers), max(numbers)) if numbers else None
