"""A reporter that says nothing, for use as a library."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loretta_cli.errors import LorettaError
    from loretta_cli.report.pace import Pace


class SilentReporter:
    """Takes every event of :class:`~loretta_cli.report.protocol.Reporter` and does nothing."""

    def header(self, title: str, facts: Mapping[str, str]) -> None:
        """Do nothing."""

    def note(self, message: str) -> None:
        """Do nothing."""

    def warn(self, message: str) -> None:
        """Do nothing."""

    def training_started(
        self, total_steps: int, first_step: int = 0, best: tuple[int, str, float] | None = None
    ) -> None:
        """Do nothing."""

    def progress(self, step: int) -> None:
        """Do nothing."""

    def logged(self, step: int, values: Mapping[str, float], pace: Pace | None = None) -> None:
        """Do nothing."""

    def evaluated(self, step: int, values: Mapping[str, float], *, split: str, is_best: bool) -> None:
        """Do nothing."""

    def training_ended(self) -> None:
        """Do nothing."""

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Do nothing."""

    def line(self, text: str) -> None:
        """Do nothing."""

    def marked(self, pieces: Sequence[tuple[str, bool]]) -> None:
        """Do nothing."""

    def next_commands(self, commands: Sequence[str]) -> None:
        """Do nothing."""

    def result(self, payload: Mapping[str, object]) -> None:
        """Do nothing."""

    def failure(self, error: LorettaError) -> None:
        """Do nothing."""
