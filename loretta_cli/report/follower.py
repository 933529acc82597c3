"""The reporter of every process but the first: silent, unless it alone knows of a failure.

Imports :mod:`report.silent` and :mod:`report.protocol`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loretta_cli.errors import LorettaError
from loretta_cli.report.silent import SilentReporter

if TYPE_CHECKING:
    from collections.abc import Callable

    from loretta_cli.report.protocol import Reporter


class FollowerReporter(SilentReporter):
    """Says nothing but a failure that no other process tells of.

    Args:
        loud: What a failure is told to.
        may_tell: Asks whether this process is the one to tell; called once, at the failure.
        place: Such as "Process 1 of 2", said before the message.
    """

    def __init__(self, loud: Reporter, *, may_tell: Callable[[], bool], place: str) -> None:
        self._loud = loud
        self._may_tell = may_tell
        self._place = place

    def failure(self, error: LorettaError) -> None:
        """Pass it on, if nobody else does."""
        if self._may_tell():
            named = type(error)(f"{self._place}: {error.message}", hint=error.hint)
            self._loud.failure(named)
