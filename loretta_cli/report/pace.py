"""How fast a training goes, and how long it still takes. Imports nothing of ours."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_WINDOW_SECONDS = 900.0
"""The time to go is an average over so much: steps may take minutes, and evaluations interrupt."""
_SECONDS_BETWEEN_MARKS = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """What the steps since the last log interval did in a second, without evaluations and checkpoints.

    Args:
        seconds: That these steps took.
        tokens_per_second: Tokens that the model read, padding not counted; None where rows have none.
        rows_per_second: Training rows.
        forward_passes_per_second: Of a zeroth-order training; otherwise None.
        queries: Of the last step of a zeroth-order training; otherwise None.
        memory_bytes: The most that this process has held so far: on the GPU where there is one, else in RAM.
    """

    seconds: float
    tokens_per_second: float | None
    rows_per_second: float
    forward_passes_per_second: float | None = None
    queries: int | None = None
    memory_bytes: int | None = None


class Remaining:
    """The time to go, by the steps of the last quarter of an hour and all that happened between them.

    The first step of a process is slow (memory is found, kernels are chosen): it counts only as long as there
    is no other.

    Args:
        total_steps: The number of the last step.
        first_step: Steps that were done before.
        clock: Tells the time in seconds.
    """

    def __init__(
        self, total_steps: int, first_step: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.total_steps = total_steps
        self.step = first_step
        self._clock = clock
        self._now = clock()
        self._start = (self._now, first_step)
        self._marks: deque[tuple[float, int]] = deque()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start[0]

    def progress(self, step: int) -> None:
        """Count a step as done."""
        self._now, self.step = self._clock(), step
        if not self._marks or self._now - self._marks[-1][0] >= _SECONDS_BETWEEN_MARKS:
            self._marks.append((self._now, step))
        while len(self._marks) > 1 and self._now - self._marks[1][0] > _WINDOW_SECONDS:
            self._marks.popleft()

    def seconds(self) -> float | None:
        """Seconds to go; None before the first step."""
        is_warm = bool(self._marks) and self._marks[0][1] < self.step
        since, first = self._marks[0] if is_warm else self._start
        if self.step <= first or self._now <= since:
            return None
        a_step = (self._now - since) / (self.step - first)
        return max(0.0, (self.total_steps - self.step) * a_step - (self._clock() - self._now))
