"""What the steps so far say about the next one: clipping, scaling, and when to go back.

Everything here follows from the records of the trajectory, so a resumed or replayed run decides the same.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, deque
from collections.abc import Sequence

from loretta_cli.config import ZerothOrderSettings
from loretta_cli.training.gradients.trajectory import Record, finite

SIZES_KEPT = 100
SIZES_NEEDED = 10
LOSSES_KEPT = 5
SLOWER = 0.1
"""After a rollback the steps are this much shorter."""


class Guard:
    """Remembers what it needs of the records.

    Args:
        settings: The section ``zo``.
    """

    def __init__(self, settings: ZerothOrderSettings) -> None:
        self.settings = settings
        self.events: Counter[str] = Counter()
        self.first_loss: float | None = None
        self._losses: deque[float] = deque(maxlen=LOSSES_KEPT)
        self._sizes: deque[float] = deque(maxlen=SIZES_KEPT)
        self._mean_square = 0.0
        self._squares = 0

    def add(self, record: Record) -> None:
        """Take in a step."""
        if record.event:
            self.events[record.event] += 1
        if record.event == "rollback":
            self._losses.clear()
            return
        if record.loss is None:
            self._losses.append(math.inf)
            return
        if self.first_loss is None:
            self.first_loss = record.loss
        self._losses.append(record.loss)
        self._sizes += [abs(value) for value in finite(record.g)]
        if self.settings.second_moment is not None:
            decay = self.settings.second_moment
            square = statistics.fmean(value * value for value in finite(record.g))
            self._mean_square = decay * self._mean_square + (1 - decay) * square
            self._squares += 1

    def clipped(self, g: Sequence[float | None]) -> tuple[tuple[float | None, ...], bool]:
        """Projected gradients cut to ``zo.clip`` times their median size of late, and whether one was."""
        if self.settings.clip is None or len(self._sizes) < SIZES_NEEDED:
            return tuple(g), False
        most = self.settings.clip * statistics.median(self._sizes)
        cut = tuple(None if value is None else min(max(value, -most), most) for value in g)
        return cut, cut != tuple(g)

    def scale(self, g: Sequence[float | None]) -> float:
        """What this step's estimate is multiplied by.

        With ``zo.second_moment``, one over the running root mean square of the projected gradients, this
        step's among them: a step is then as long as the learning rate says, whatever the loss is made of.
        """
        shorter = SLOWER ** self.events["rollback"]
        if self.settings.second_moment is None:
            return shorter
        decay = self.settings.second_moment
        square = statistics.fmean(value * value for value in finite(g))
        mean = decay * self._mean_square + (1 - decay) * square
        root = math.sqrt(mean / (1 - decay ** (self._squares + 1)))
        return shorter / root if root > 0 else 0.0

    @property
    def is_calm(self) -> bool:
        """Whether the present point may serve to go back to: the losses are not half way to an explosion."""
        if self.settings.rollback is None or self.first_loss is None or not self._losses:
            return True
        return statistics.median(self._losses) <= (1 + self.settings.rollback) / 2 * self.first_loss

    @property
    def has_exploded(self) -> bool:
        """Whether the losses of late are ``zo.rollback`` times the first one, or not finite."""
        if self.settings.rollback is None or len(self._losses) < LOSSES_KEPT or self.first_loss is None:
            return False
        return statistics.median(self._losses) > self.settings.rollback * self.first_loss
