"""From finished runs to the numbers of a comparison: each run's, means over seeds, the paper's beside them.

Over-fitting (LoRETTA, Figure 4) is an evaluation loss that ends far above the training loss, or jumps from
one evaluation to the next.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from loretta_cli.config import AdapterSettings
from loretta_cli.errors import LorettaError
from loretta_cli.evaluation.metrics import LOWER_IS_BETTER
from loretta_cli.grid.cells import Cell
from loretta_cli.grid.folder import GridFolder, State
from loretta_cli.grid.layout import RowKey, columns_of, row_labels, rows_of
from loretta_cli.grid.results import MEASURES, RunResult, read_result
from loretta_cli.measure.published_scores import PublishedScore, published_scores
from loretta_cli.models.bundled import find_architecture


@dataclass(frozen=True, slots=True)
class CellState:
    """A cell and what has become of it.

    Args:
        cell: The cell.
        column: Of the table: its task, and its data where the task has several.
        state: How far it is.
        reason: Why it failed, or an empty string.
        result: Of a finished one.
    """

    cell: Cell
    column: str
    state: State
    reason: str = ""
    result: RunResult | None = None


@dataclass(frozen=True, slots=True)
class TaskScore:
    """One row of the table in one column.

    Args:
        task: Name of the task.
        source: Where its rows are; None for the task's own place on the hub.
        metric: Name of the metric.
        scores: One of each finished seed.
        measures: Means over these seeds of :data:`MEASURES`.
        published: The paper's number.
        results: The runs.
    """

    task: str
    source: str | None
    metric: str
    scores: tuple[float, ...]
    measures: Mapping[str, float | None]
    published: PublishedScore | None
    results: tuple[RunResult, ...]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return statistics.fmean(self.scores)

    @property
    def deviation(self) -> float | None:
        """The sample standard deviation over the seeds; None for one seed."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else None


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table.

    Args:
        label: What it is called.
        key: What its cells share.
        tasks: Column to score, for those with a finished run.
    """

    label: str
    key: RowKey
    tasks: Mapping[str, TaskScore]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that a grid has to say so far.

    Args:
        cells: Every cell.
        tasks: The columns, in the order of the grid: a task, or a task on one of several data sets.
        rows: Every row, those without a finished run too.
    """

    cells: tuple[CellState, ...]
    tasks: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def failed(self) -> tuple[CellState, ...]:
        """The cells that failed."""
        return tuple(cell for cell in self.cells if cell.state == "failed")

    @property
    def finished(self) -> tuple[CellState, ...]:
        """The cells that are finished."""
        return tuple(cell for cell in self.cells if cell.state == "finished")

    @property
    def has_zeroth_order(self) -> bool:
        """Whether forward passes alone trained one of those that are finished."""
        return any(cell.result is not None and cell.result.is_zeroth_order for cell in self.cells)

    def metric(self, task: str) -> str | None:
        """The main metric of a column; None before its first run is finished."""
        found = (row.tasks[task].metric for row in self.rows if task in row.tasks)
        return next(found, None)

    def mean_over_tasks(self, row: Row) -> float | None:
        """The mean of a row's scores.

        None for one task, where a task is missing, which would make the mean another thing, and where a lower
        score is the better one.
        """
        scores = [row.tasks[task] for task in self.tasks if task in row.tasks]
        if len(self.tasks) < 2 or len(scores) < len(self.tasks):
            return None
        if any(score.metric in LOWER_IS_BETTER for score in scores):
            return None
        return statistics.fmean(score.mean for score in scores)


def compare(folder: GridFolder, cells: Sequence[Cell]) -> Comparison:
    """Read what the cells of a grid have come to."""
    columns = columns_of(cells)
    states = {cell.name: _state_of(folder, cell, columns[cell.name]) for cell in cells}
    grouped = rows_of(cells)
    labels = row_labels(list(grouped))
    rows = []
    for key, members in grouped.items():
        by_column: dict[str, list[tuple[Cell, RunResult]]] = defaultdict(list)
        for cell in members:
            if (result := states[cell.name].result) is not None:
                by_column[columns[cell.name]].append((cell, result))
        scores = {column: _task_score(key, finished) for column, finished in by_column.items()}
        rows.append(Row(labels[key], key, scores))
    return Comparison(tuple(states.values()), tuple(dict.fromkeys(columns.values())), tuple(rows))


def published_for(key: RowKey, task: str) -> PublishedScore | None:
    """The printed number of the settings that are nearest to a row's: none of its own that the row has not.

    A row of adp or rep with a setting of the adapter that was not printed, or with another preset than the
    paper's, has no number.

    Args:
        key: The row.
        task: The task.
    """
    said = {f"{name}={text}" for name, text in key.said}
    known = find_architecture(key.model)
    gradient = dict(key.said).get("gradient", "backprop")
    wanted = (known[0] if known else key.model, key.method, task, gradient)
    fitting = [
        (len(settings), cell)
        for cell in published_scores()
        if (cell.model, cell.method, cell.task, cell.gradient) == wanted
        and said.issuperset(settings := [part for part in cell.setting.split(", ") if part])
    ]
    nearest = max(fitting, key=lambda pair: pair[0])[1] if fitting else None
    if nearest is None or key.method not in ("adp", "rep"):
        return nearest
    printed = {"preset=paper", *nearest.setting.split(", ")}
    own = {part for part in said - printed if part.partition("=")[0] in AdapterSettings.model_fields}
    return None if own else nearest


def _state_of(folder: GridFolder, cell: Cell, column: str) -> CellState:
    state = folder.state(cell)
    if state == "failed":
        return CellState(cell, column, state, folder.failure(cell))
    if state != "finished":
        return CellState(cell, column, state)
    try:
        return CellState(cell, column, state, result=read_result(folder.run(cell)))
    except LorettaError as error:
        return CellState(cell, column, "failed", error.message)


def _task_score(key: RowKey, finished: Sequence[tuple[Cell, RunResult]]) -> TaskScore:
    cell, results = finished[0][0], [result for _, result in finished]
    metric = results[0].metric
    return TaskScore(
        cell.task,
        cell.source,
        metric,
        tuple(result.metrics[metric] for result in results),
        {name: _mean(result.measures[name] for result in results) for name in MEASURES},
        published_for(key, cell.task),
        tuple(results),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    """Of the values that are there; None if there are none."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    # Counts stay whole numbers: statistics.mean keeps an int where the mean is one.
    return statistics.mean(known) if known else None
