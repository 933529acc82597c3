"""Running the cells of a grid one after the other; one that fails is noted, and the rest goes on."""

from __future__ import annotations

import gc
import time
from collections import defaultdict
from collections.abc import Sequence

import torch

from loretta_cli.grid.cells import Cell
from loretta_cli.grid.checks import check_cells, names_of, told_once
from loretta_cli.grid.folder import GridFolder
from loretta_cli.grid.scores import CellState, Comparison, compare
from loretta_cli.grid.writing import write_comparison
from loretta_cli.numerals import counted
from loretta_cli.report import Reporter, SilentReporter
from loretta_cli.training.finishing import TrainReport
from loretta_cli.training.run import train


class CellReporter(SilentReporter):
    """Passes on the progress and the warnings of one run among many, nothing else.

    Args:
        outer: Where to.
        cell: Name of the cell, said before a warning.
    """

    def __init__(self, outer: Reporter, cell: str) -> None:
        self._outer = outer
        self._cell = cell

    def warn(self, message: str) -> None:
        """Pass it on with the cell's name."""
        self._outer.warn(f"{self._cell}: {message}")

    def training_started(
        self, total_steps: int, first_step: int = 0, best: tuple[int, str, float] | None = None
    ) -> None:
        """Pass it on."""
        self._outer.training_started(total_steps, first_step, best)

    def progress(self, step: int) -> None:
        """Pass it on."""
        self._outer.progress(step)

    def training_ended(self) -> None:
        """Pass it on."""
        self._outer.training_ended()


def run_grid(
    folder: GridFolder, cells: Sequence[Cell], reporter: Reporter, *, retry_failed: bool = False
) -> Comparison:
    """Train every cell that is not finished, and write the comparison after each.

    All that can be checked without weights is checked first. A cell that cannot run has failed, is told at
    once, and leaves the others. Cells with other settings are trained anew; whether they may be,
    :meth:`GridFolder.check` has said.

    Args:
        folder: Where to.
        cells: All cells of the grid.
        reporter: Hears of everything.
        retry_failed: Try cells again that have failed before.

    Raises:
        OutputError: If the folder cannot be written.
    """
    done = {"finished"} if retry_failed else {"finished", "failed"}
    # A finished run whose files are damaged has failed, too.
    states = compare(folder, cells).cells
    if skipped := sum(one.state in done for one in states):
        of = f"of {counted(len(cells), 'cell')}"
        reporter.note(counted(skipped, f"{of} was done before", f"{of} were done before"))
    if not retry_failed:
        _tell_failed_before(states, reporter)
    open_cells = _able_to_run(folder, [one.cell for one in states if one.state not in done], reporter)
    skipped = len(cells) - len(open_cells)
    started = time.monotonic()
    for number, cell in enumerate(open_cells):
        place = f"cell {skipped + number + 1} of {len(cells)}: {cell.name}"
        reporter.note(place + _time(started, number, len(open_cells)))
        try:
            report = _run_cell(folder, cell, CellReporter(reporter, cell.name))
        except Exception as error:
            reporter.training_ended()
            reporter.warn(f"{cell.name} failed: {folder.fail(cell, error)}")
        else:
            score = report.metrics[report.main_metric]
            reporter.note(f"{cell.name}: {report.main_metric} {score:.4f}, {report.seconds:.1f} s")
        _release_memory()
        write_comparison(folder, compare(folder, cells))
    comparison = compare(folder, cells)
    if not open_cells:
        write_comparison(folder, comparison)
    return comparison


def _tell_failed_before(states: Sequence[CellState], reporter: Reporter) -> None:
    reasons: dict[str, list[str]] = defaultdict(list)
    for one in states:
        if one.state == "failed":
            reasons[one.reason].append(one.cell.name)
    for reason, names in reasons.items():
        reporter.warn(f"{names_of(names)} failed before: {reason}")


def _able_to_run(folder: GridFolder, cells: Sequence[Cell], reporter: Reporter) -> list[Cell]:
    """The cells without those that cannot run, which are noted as failed. Runs that have begun could run."""
    new = [cell for cell in cells if not folder.begun(cell)]
    if new:
        reporter.note(f"checking {counted(len(new), 'cell')} before the first one runs")
    checks = check_cells(new)
    wrong = [(cell, error) for cell in new if (error := checks[cell.name].error) is not None]
    for cell, error in wrong:
        folder.start(cell)
        folder.fail(cell, error)
    for told in told_once(wrong, "cannot run"):
        reporter.warn(f"{told.message} {told.hint}".rstrip())
    left_out = {cell.name for cell, _ in wrong}
    return [cell for cell in cells if cell.name not in left_out]


def _run_cell(folder: GridFolder, cell: Cell, reporter: Reporter) -> TrainReport:
    """Start or resume one run."""
    folder.start(cell)
    run = folder.run(cell)
    is_begun = run.config_file.is_file()
    return train(run.read_config() if is_begun else cell.config, run.path, reporter, resume=is_begun)


def _release_memory() -> None:
    """Give back what the last model held; its parts refer to each other, so that nothing else would."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _time(started: float, done: int, total: int) -> str:
    """``, 2 min gone, about 5 min left``; nothing before the first cell is done."""
    if not done:
        return ""
    gone = time.monotonic() - started
    return f", {_span(gone)} gone, about {_span(gone / done * (total - done))} left"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
