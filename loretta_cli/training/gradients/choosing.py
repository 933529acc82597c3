"""Whether queries are evaluated one by one or several at once: tried with the first batch.

Speed must not change what is trained: several at once are taken only if they give the losses that one by one
gives, whatever the model is made of.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from loretta_cli.config import ZerothOrderSettings
from loretta_cli.measure.live_memory import peak_rise_bytes
from loretta_cli.numerals import counted
from loretta_cli.training.gradients.base import BatchLoss
from loretta_cli.training.gradients.batched import Batched, tokens_of
from loretta_cli.training.gradients.losses_at import LossesAt, Point, Sequential
from loretta_cli.training.gradients.own_copies import CopiesError
from loretta_cli.training.gradients.vector import ParameterVector

REPEATS = 3
TOLERANCE, HALF_TOLERANCE = 1e-5, 2e-2
"""Most that rounding may change a loss, of models in fp32 and in fewer bits."""
SPREAD = 10
"""So many tolerances lie between the losses of a comparison, or it would not notice two that are swapped."""
MOST_EPS = 1.0


@dataclass(frozen=True, slots=True)
class Choice:
    """How the points of all steps are evaluated.

    Args:
        backend: One by one or several at once.
        tokens: Of all copies in one forward pass, at most; of ``sequential``, 0.
        passes: Forward passes that it took to choose.
        why: A clause for the user.
        is_timed: Whether a clock had a say, so that another run may choose otherwise.
    """

    backend: Literal["sequential", "batched"]
    tokens: int
    passes: int
    why: str
    is_timed: bool = False

    @property
    def note(self) -> str:
        """The choice as a sentence."""
        how = "several at once" if self.backend == "batched" else "one by one"
        spent = counted(self.passes, "forward pass", "forward passes")
        paid = f", found with {spent}" if self.passes else ""
        note = f"queries are evaluated {how}: {self.why}{paid}"
        if self.is_timed and self.backend == "batched":
            # The clock may say otherwise the next time.
            note += "; set zo.backend=batched to have the same bits again"
        return note


def losses_by(
    backend: str, tokens: int, vector: ParameterVector, loss: BatchLoss, tell: Callable[[str], None]
) -> LossesAt:
    """The back end of a choice; ``tell`` hears of batches that take no copies."""
    return Batched(vector, loss.model, tokens, tell) if backend == "batched" else Sequential(vector)


def choose(
    settings: ZerothOrderSettings,
    vector: ParameterVector,
    loss: BatchLoss,
    draw: Callable[[int], torch.Tensor],
    *,
    points: int,
    eps: float,
) -> Choice:
    """Decide for a run; the parameters are left as they were.

    Args:
        settings: The section ``zo``.
        vector: The trained parameters.
        loss: Of the first batch.
        draw: The direction of a query.
        points: The most that a step of this process evaluates.
        eps: Their distance.
    """
    if settings.backend == "sequential":
        return Choice("sequential", 0, 0, "as set")
    if loss.score is not None:
        return Choice("sequential", 0, 0, "what is improved is a metric")
    trial = _Trial(vector, loss, draw, eps)
    loss.model.eval()
    try:
        with torch.no_grad():
            return trial.choose(settings, points)
    except CopiesError as error:
        return Choice("sequential", 0, trial.passes, str(error))
    finally:
        vector.become(trial.theta)


def most_passes_to_choose(settings: ZerothOrderSettings, *, points: int, eps: float) -> int:
    """The most forward passes that :func:`choose` takes.

    With ``batched`` as many as with ``auto``, although no clock is asked: the length of a run with a budget
    follows from what is set aside, and a run that repeats what ``auto`` chose must be as long.

    Args:
        settings: The section ``zo``.
        points: The most that a step evaluates.
        eps: Their distance, or the least that it can be.
    """
    if settings.backend == "sequential":
        return 0
    return 1 + (len(_distances(eps)) + 1) * points + REPEATS * (2 + points)


class _Trial:
    def __init__(
        self, vector: ParameterVector, loss: BatchLoss, draw: Callable[[int], torch.Tensor], eps: float
    ) -> None:
        self.vector, self.loss, self.draw, self.eps = vector, loss, draw, eps
        self.theta = vector.read()
        self.passes = 0

    def choose(self, settings: ZerothOrderSettings, points: int) -> Choice:
        self.passes += 1
        activations = peak_rise_bytes(self.loss, self.theta.device)
        copies = settings.memory * 2**20 // (activations + self.theta.nbytes)
        if copies < 2:
            raise CopiesError(
                f"zo.memory={settings.memory} has no room for two copies of {activations / 2**20:.0f} MiB"
            )
        copies = min(copies, points)
        several = Batched(self.vector, self.loss.model, copies * tokens_of(self.loss))
        self._compare(several, copies)
        if settings.backend == "batched":
            return Choice("batched", several.tokens, self.passes, f"{copies} in a forward pass, as set")
        share = self._share_of_time(several, copies)
        why = f"{copies} in a forward pass take {share:.2f} of the time"
        if share >= 1:
            return Choice("sequential", 0, self.passes, why, is_timed=True)
        return Choice("batched", several.tokens, self.passes, why, is_timed=True)

    def _compare(self, several: Batched, copies: int) -> None:
        """See that the losses of both ways are equal.

        Raises:
            CopiesError: If they are not, or no perturbation within reason tells two copies apart.
        """
        is_exact = all(one.dtype == torch.float32 for one in self.loss.model.parameters())
        tolerance = TOLERANCE if is_exact else HALF_TOLERANCE
        points = _points(copies)
        for eps in _distances(self.eps):
            single = list(self._evaluate(Sequential(self.vector), points, eps))
            size = max(1.0, *map(abs, single))
            if max(single) - min(single) > SPREAD * tolerance * size:
                break
        else:
            raise CopiesError("the loss of the first batch changes too little to compare copies by it")
        try:
            together = self._evaluate(several, points, eps)
        except CopiesError:
            raise
        except Exception as error:  # whatever a model that cannot be copied stumbles over
            raise CopiesError(f"the model takes no copies ({_first_line(error)})") from error
        difference = max(abs(one - other) for one, other in zip(single, together, strict=True))
        if not difference <= tolerance * size:
            raise CopiesError(f"the losses differ by {difference:.1g} from those of one by one")

    def _share_of_time(self, several: Batched, copies: int) -> float:
        """Time of a point among several over that of one alone."""
        shares = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            self._evaluate(Sequential(self.vector), _points(2), self.eps)
            middle = time.perf_counter()
            self._evaluate(several, _points(copies), self.eps)
            shares.append((time.perf_counter() - middle) / copies / ((middle - start) / 2))
        return statistics.median(shares)

    def _evaluate(self, losses_at: LossesAt, points: Sequence[Point], eps: float) -> list[float]:
        self.passes += len(points)
        found = losses_at(self.loss, self.theta, points, self.draw, eps)
        return [found[point] for point in points]


def _distances(eps: float) -> list[float]:
    """``eps``, and larger ones at which to look where losses change too little."""
    found = [eps]
    while found[-1] * 4 <= MOST_EPS:
        found.append(found[-1] * 4)
    return found


def _points(count: int) -> list[Point]:
    return [(number // 2, 1 - number % 2 * 2) for number in range(count)]


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
