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
GUESSING = math.log(2)
"""Loss of guessing between two answers. A first loss below it counts as this: after a lucky first batch, or
with a model that knew much, losses may become a hundred times as high, and that is no explosion."""
LEARNED = 0.01
"""A loss below this may be the same at all points because there is nothing left to learn."""
SLOWER = 0.1
"""Each rollback makes steps so many times as long as they were."""


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
        self._slopes: deque[bool] = deque(maxlen=LOSSES_KEPT)
        """Of late: whether a step had a slope that is not zero."""
        self._sizes: deque[float] = deque(maxlen=SIZES_KEPT)
        self._mean_square = 0.0
        self._squares = 0
        self._when_good: tuple[tuple[float, ...], float, int] = ((), 0.0, 0)

    def add(self, record: Record) -> None:
        """Take in a step."""
        if record.event:
            self.events[record.event] += 1
        if record.event == "rollback":
            self._losses.clear()
            self._slopes.clear()
            self._saved.clear()
            # The slopes of an explosion say nothing of those after it.
            sizes, self._mean_square, self._squares = self._when_good
            self._sizes = deque(sizes, maxlen=SIZES_KEPT)
            return
        if self.first_loss is None:
            self.first_loss = record.loss
        self._losses.append(math.inf if record.loss is None else record.loss)
        if len(self._begin) < LOSSES_KEPT:
            self._begin.append(self._losses[-1])
        self._slopes.append(record.loss is None or any(finite(record.g)))
        if record.loss is not None:
            self._measure(finite(record.g))
        self._judge_saved(record.step + 1)

    def _measure(self, slopes: Sequence[float]) -> None:
        # Along most directions a metric does not change at all; zeros would make the median one.
        self._sizes += [abs(value) for value in slopes if value]
        if self.settings.second_moment is not None:
            decay = self.settings.second_moment
            square = statistics.fmean(value * value for value in slopes)
            self._mean_square = decay * self._mean_square + (1 - decay) * square
            self._squares += 1

    def saved(self, steps: int) -> None:
        """Hear that the parameters after so many steps were saved: a place to go back to, if they are good.

        The losses so far are of the steps before; what comes after shows whether the last one was too far.
        """
        self._saved.append(steps)

    @property
    def points(self) -> set[int]:
        """Steps behind the parameters that a rollback goes to, and behind those that may prove good."""
        return {self.good, *self._saved}

    def _judge_saved(self, steps: int) -> None:
        while self._saved and steps - self._saved[0] >= LOSSES_KEPT:
            point = self._saved.popleft()
            if self.is_calm:
                self.good = point
                self._when_good = tuple(self._sizes), self._mean_square, self._squares

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
        """What the learning rate is multiplied by: 1, and a tenth with each rollback.

        A gradient made smaller would not do: the optimizers of Adam's kind divide by its size.
        """
        return float(SLOWER ** self.events["rollback"])

    @property
    def is_calm(self) -> bool:
        """Whether the losses of late are not even half way to an explosion, and depend on the parameters."""
        if self.settings.rollback is None or self.first_loss is None or not self._losses:
            return True
        if self.is_dead:
            return False
        return statistics.median(self._losses) <= self._times_first((1 + self.settings.rollback) / 2)

    @property
    def has_exploded(self) -> bool:
        """Whether the losses of late are over :attr:`limit`, not finite, or dead."""
        if self.settings.rollback is None or len(self._losses) < LOSSES_KEPT or self.first_loss is None:
            return False
        return statistics.median(self._losses) > self.limit or self.is_dead

    @property
    def is_dead(self) -> bool:
        """Whether the loss no longer depends on the parameters, as after an update that was far too large.

        Its value need not be high then: a decoder whose last hidden state is swamped by an adapter's gives
        all options the same score, the loss of guessing. Of a metric this is never said.
        """
        return (
            len(self._slopes) == LOSSES_KEPT
            and not any(self._slopes)
            and bool(self._sizes)
            and statistics.median(self._losses) > LEARNED
        )

    @property
    def has_not_begun(self) -> bool:
        """Whether no slope so far was anything but zero."""
        return not self._sizes

    @property
    def limit(self) -> float:
        """The loss over which a training has exploded."""
        assert self.settings.rollback is not None, "asked only then"
        return self._times_first(self.settings.rollback)

    def _times_first(self, times: float) -> float:
        """The most that a loss may be.

        Minus a metric is never above 0, so that of it only a value that is not finite explodes.
        """
        assert self.first_loss is not None, "asked once there is one"
        assert self.settings.rollback is not None, "asked only then"
        first = max(self.first_loss, GUESSING)
        # One small batch says little; but a training that explodes at once must not be measured by that.
        return times * min(max(first, *self._begin), self.settings.rollback * first)
