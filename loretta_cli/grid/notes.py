"""What is to be known of the tables of a comparison, one sentence or two each."""

from __future__ import annotations

from collections.abc import Callable

from loretta_cli.config import DataSettings
from loretta_cli.grid.scores import Comparison
from loretta_cli.tasks.protocols import most_reported

_ALWAYS = (
    "Scores are those of the reported rows after training, in percent: mean ± sample standard deviation over "
    "the seeds, and in brackets their number.",
    "The training loss is the last one logged, with dropout; the others are of the rows that choose the "
    "checkpoint. The gap is the loss at the end less the training loss; the variance is of all evaluations.",
)
_PASSES = (
    "Passes are the forward passes of the training, those that measure and choose its settings among them, "
    "evaluations not. A backward pass counts as one: with a frozen base it costs about as much. The training "
    "loss of zeroth-order gradients is the mean over the perturbed points, without dropout."
)
_SEED = "A seed draws the initial values, dropout, the order of the rows"
_PAPER = "The paper's numbers are of its own rows, epochs and learning rates, mostly of a single run."


def notes(comparison: Comparison) -> list[str]:
    """What is to be known of the tables."""
    told = [*_ALWAYS, *([_PASSES] if comparison.has_zeroth_order else []), *_seeds(comparison)]
    published = [
        (row.label, task, score.published)
        for row in comparison.rows
        for task, score in row.tasks.items()
        if score.published is not None
    ]
    if published:
        told.append(f"{_PAPER} From: {', '.join(dict.fromkeys(cell.table for _, _, cell in published))}.")
    told += [
        f"{label} on {task}, {cell.table}: {cell.reason}." for label, task, cell in published if cell.reason
    ]
    return told


def _seeds(comparison: Comparison) -> list[str]:
    """What differs from seed to seed; nothing where there is one."""
    if len({cell.cell.seed for cell in comparison.cells}) < 2:
        return []
    drawn = [
        f"{what}{where}"
        for what, is_drawn in (
            ("which rows train and which choose the checkpoint", _draws_training_rows),
            ("which rows of a larger validation split are reported", _draws_reported_rows),
        )
        if (where := _where(comparison, is_drawn)) is not None
    ]
    if not drawn:
        return [f"{_SEED}; the rows are the same for all seeds."]
    return [
        f"{_SEED}, and {', and '.join(drawn)}. All methods have the same rows with one seed; data.seed would "
        "give all seeds the same rows."
    ]


def _where(comparison: Comparison, is_drawn: Callable[[DataSettings], bool]) -> str | None:
    """The columns in which something is drawn: nothing to say if it is so in all, None if in none."""
    columns = dict.fromkeys(cell.column for cell in comparison.cells if is_drawn(cell.cell.config.data))
    if len(columns) == len(comparison.tasks):
        return ""
    return f" (on {', '.join(columns)})" if columns else None


def _draws_training_rows(data: DataSettings) -> bool:
    return data.seed is None and (data.protocol != "paper" or data.train_rows is not None)


def _draws_reported_rows(data: DataSettings) -> bool:
    return data.seed is None and most_reported(data) is not None
