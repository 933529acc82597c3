"""The seam between the library and whoever watches it.

Imports only :mod:`errors` and :mod:`report.pace`, for typing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loretta_cli.errors import LorettaError
    from loretta_cli.report.pace import Pace


class Reporter(Protocol):
    """Everything that a command says, as events.

    Text given to a reporter is shown as it is: brackets are no markup and control characters are
    removed. A caller that starts training ends it in a ``finally`` block, so that a progress bar never
    outlives the training.
    """

    def header(self, title: str, facts: Mapping[str, str]) -> None:
        """Say what is about to run (stderr).

        Args:
            title: One short line, such as "Training adp on boolq".
            facts: Name to value, in the order to show.
        """

    def note(self, message: str) -> None:
        """Say something worth knowing (stderr)."""

    def warn(self, message: str) -> None:
        """Say something that may spoil the result (stderr)."""

    def training_started(
        self, total_steps: int, first_step: int = 0, best: tuple[int, str, float] | None = None
    ) -> None:
        """Say that training begins (stderr).

        Args:
            total_steps: The number of the last optimizer step.
            first_step: Steps that were done before, when a run is resumed.
            best: Of these, the step of the best evaluation, its main metric and the value of that.
        """

    def progress(self, step: int) -> None:
        """Count a step as done; called for every step, so it is cheap."""

    def logged(self, step: int, values: Mapping[str, float], pace: Pace | None = None) -> None:
        """Show training values at a log interval (stderr).

        Args:
            step: Optimizer steps done.
            values: Such as ``loss`` and ``learning_rate``.
            pace: How fast the steps since the last interval went, if that is known.
        """

    def evaluated(self, step: int, values: Mapping[str, float], *, split: str, is_best: bool) -> None:
        """Show the values of an evaluation (stderr).

        Args:
            step: Optimizer steps done.
            values: The task's metrics, the main one first, and ``loss``.
            split: Of the rows: ``validation``, or ``selection`` where others choose the checkpoint.
            is_best: Whether this is the best evaluation so far.
        """

    def training_ended(self) -> None:
        """Say that training is over, for whatever reason; safe to call twice (stderr)."""

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show a result in rows (stdout).

        Args:
            title: One line above the table, or an empty string.
            columns: Column heads.
            rows: Cells, as many in a row as there are columns.
        """

    def line(self, text: str) -> None:
        """Show a result in one line (stdout)."""

    def marked(self, pieces: Sequence[tuple[str, bool]]) -> None:
        """Show a text some pieces of which are marked (stdout).

        Args:
            pieces: The text in order, each piece with whether it is marked.
        """

    def next_commands(self, commands: Sequence[str]) -> None:
        """Commands that make sense now (stdout, for people only)."""

    def result(self, payload: Mapping[str, object]) -> None:
        """Hand over the document that ``--json`` prints (stdout, for programs only)."""

    def failure(self, error: LorettaError) -> None:
        """Say what went wrong and how to mend it (stderr; with ``--json`` also stdout)."""
