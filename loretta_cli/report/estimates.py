"""What a picture or a screen shows of a zeroth-order training, step by step. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

EVENTS = ("skip", "clip", "rollback")


@dataclass(frozen=True, slots=True)
class Estimates:
    """The projected gradients of a training.

    Args:
        steps: Optimizer steps, from 1.
        queries: Of each step.
        sizes: The mean absolute projected gradient of each step; None where none was finite.
        events: What happened out of the ordinary: the step, and one of :data:`EVENTS`.
        forward_passes: All so far.
        eps: Distance of the perturbed points at the last step.
    """

    steps: Sequence[int]
    queries: Sequence[int]
    sizes: Sequence[float | None]
    events: Sequence[tuple[int, str]] = ()
    forward_passes: int = 0
    eps: float | None = None

    def __bool__(self) -> bool:
        return bool(self.steps)

    def counts(self) -> dict[str, int]:
        """How often each event happened."""
        return {name: sum(event == name for _, event in self.events) for name in EVENTS}
