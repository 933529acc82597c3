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
"""The first rollback makes steps this much shorter, each later one that much more than the one before."""


class Guard:
    """Remembers what it needs of the records.

    Args:
        settings: The section ``zo``.
    """

    def __init__(self, settings: ZerothOrderSettings) -> None:
        self.settings = settings
        self.events: Counter[str] = Counter()
        self.good = 0
        """After so many steps the parameters were last found to be good: where a rollback goes."""
        self.first_loss: float | None = None
        self._saved: deque[int] = deque()
        self._begin: list[float] = []
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
            self._saved.clear()
            return
        if self.first_loss is None:
            self.first_loss = record.loss
        self._losses.append(math.inf if record.loss is None else record.loss)
        if len(self._begin) < LOSSES_KEPT:
            self._begin.append(self._losses[-1])
        self._judge_saved(record.step + 1)
        if record.loss is None:
            return
        self._sizes += [abs(value) for value in finite(record.g)]
        if self.settings.second_moment is not None:
            decay = self.settings.second_moment
            square = statistics.fmean(value * value for value in finite(record.g))
            self._mean_square = decay * self._mean_square + (1 - decay) * square
            self._squares += 1

    def saved(self, steps: int) -> None:
        """Hear that the parameters after so many steps were saved: a place to go back to, if they are good.

        The losses so far are of the steps before; what comes after shows whether the last one was too far.
        """
        self._saved.append(steps)

    def _judge_saved(self, steps: int) -> None:
        while self._saved and steps - self._saved[0] >= LOSSES_KEPT:
            point = self._saved.popleft()
            if self.is_calm:
                self.good = point

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
        if self.settings.second_moment is None:
            return 1.0
        decay = self.settings.second_moment
        square = statistics.fmean(value * value for value in finite(g))
        mean = decay * self._mean_square + (1 - decay) * square
        root = math.sqrt(mean / (1 - decay ** (self._squares + 1)))
        return 1 / root if root > 0 else 0.0

    @property
    def pace(self) -> float:
        """What the learning rate is multiplied by: 1, then 1/10, 1/1,000, 1/1,000,000 ... with each rollback.

        A gradient made smaller would not do: the optimizers of Adam's kind divide by its size.
        """
        rollbacks = self.events["rollback"]
        return float(SLOWER ** (rollbacks * (rollbacks + 1) // 2))

    @property
    def is_calm(self) -> bool:
        """Whether the losses of late are not even half way to an explosion."""
        if self.settings.rollback is None or self.first_loss is None or not self._losses:
            return True
        return statistics.median(self._losses) <= self._times_first((1 + self.settings.rollback) / 2)

    @property
    def has_exploded(self) -> bool:
        """Whether the losses of late are ``zo.rollback`` times those of the beginning, or not finite."""
        if self.settings.rollback is None or len(self._losses) < LOSSES_KEPT or self.first_loss is None:
            return False
        return statistics.median(self._losses) > self._times_first(self.settings.rollback)

    def _times_first(self, times: float) -> float:
        """The most that a loss may be.

        Minus a metric is never above 0, the worst there is: then a loss that is not finite alone explodes.
        """
        assert self.first_loss is not None, "asked once there is one"
        assert self.settings.rollback is not None, "asked only then"
        if self.first_loss <= 0:
            return 0.0
        # One small batch says little; but a training that explodes at once must not be measured by that.
        return times * min(max(self.first_loss, *self._begin), self.settings.rollback * self.first_loss)
