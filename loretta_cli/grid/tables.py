"""A comparison as tables for people, on the screen and in Markdown.

Scores are percent where they are shares or correlations.
"""

from __future__ import annotations

from typing import Any

from rich.filesize import decimal

from loretta_cli.evaluation.metrics import LOWER_IS_BETTER
from loretta_cli.grid.notes import notes
from loretta_cli.grid.results import MEASURES
from loretta_cli.grid.scores import Comparison, Row, TaskScore
from loretta_cli.numerals import counted
from loretta_cli.report.table_files import markdown_table

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]
"""Column heads and rows."""

NONE = "-"


def score_table(comparison: Comparison) -> Table:
    """Rows against tasks, and what each costs: passes where a row was trained by forward passes alone."""
    heads = ["method"]
    for task in comparison.tasks:
        heads.append(f"{task} ({_metric(comparison, task)})")
        heads += ["paper"] if _has_published(comparison, task) else []
    heads += ["mean"] if len(comparison.tasks) > 1 else []
    heads += ["trainable", "storage", "seconds"]
    heads += ["passes"] if comparison.has_zeroth_order else []
    lines = []
    for row in comparison.rows:
        cells = [row.label]
        for task in comparison.tasks:
            score = row.tasks.get(task)
            cells.append(_score(score, several=_has_seeds(comparison)) if score else NONE)
            if _has_published(comparison, task):
                cells.append(_published(score))
        if len(comparison.tasks) > 1:
            mean = comparison.mean_over_tasks(row)
            cells.append(NONE if mean is None else f"{100 * mean:.2f}")
        cells += [
            _range(row, "trainable_parameters", "{:,.0f}".format),
            _range(row, "storage_bytes", lambda size: decimal(int(size))),
            _range(row, "seconds", "{:,.0f}".format),
        ]
        if comparison.has_zeroth_order:
            cells.append(_range(row, "passes", "{:,.0f}".format))
        lines.append(tuple(cells))
    return tuple(heads), lines


def loss_table(comparison: Comparison) -> Table:
    """Over-fitting: the losses of each row on each task."""
    heads = ("method", "task", "best step", "train loss", "loss at best", "loss at end", "gap", "variance")
    names = ("best_step", *MEASURES[MEASURES.index("train_loss") :])
    return heads, _losses(comparison, names, "{:.4g}")


def short_loss_table(comparison: Comparison) -> Table:
    """The same for a narrow screen: fewer columns, fewer digits."""
    names = ("train_loss", "loss_at_best_step", "last_loss", "loss_gap")
    return ("method", "task", "train", "best", "end", "gap"), _losses(comparison, names, "{:.3f}")


def _losses(comparison: Comparison, names: tuple[str, ...], form: str) -> list[tuple[str, ...]]:
    return [
        (row.label, task, *(_number(row.tasks[task].measures[name], form) for name in names))
        for row in comparison.rows
        for task in comparison.tasks
        if task in row.tasks
    ]


def markdown(comparison: Comparison) -> str:
    """The comparison as a document."""
    cells = comparison.cells
    still = len(cells) - len(comparison.finished) - len(comparison.failed)
    counts = f"{len(comparison.finished)} of {counted(len(cells), 'run')} finished"
    counts += f", {len(comparison.failed)} failed" if comparison.failed else ""
    counts += f", {still} still to be done" if still else ""
    parts = ["# Comparison", f"{counts}.", markdown_table(*score_table(comparison)).rstrip()]
    if comparison.finished:
        parts += [
            "![Score against trainable parameters](comparison.png)",
            "## Losses",
            markdown_table(*loss_table(comparison)).rstrip(),
            "![Train and evaluation loss over the steps](losses.png)",
        ]
    if comparison.has_zeroth_order:
        parts += [
            "## Forward passes",
            "![Losses and scores of the evaluations over forward passes](passes.png)",
        ]
    if comparison.failed:
        parts += ["## Failed", "\n".join(f"- {cell.cell.name}: {cell.reason}" for cell in comparison.failed)]
    parts += ["## Notes", "\n".join(f"- {note}" for note in notes(comparison))]
    return "\n\n".join(parts) + "\n"


def _metric(comparison: Comparison, task: str) -> str:
    return (comparison.metric(task) or NONE).replace("_", " ")


def _has_published(comparison: Comparison, task: str) -> bool:
    return any(task in row.tasks and row.tasks[task].published is not None for row in comparison.rows)


def _has_seeds(comparison: Comparison) -> bool:
    return len({cell.cell.seed for cell in comparison.cells}) > 1


def _shown(value: float, metric: str) -> str:
    return f"{value:.4f}" if metric in LOWER_IS_BETTER else f"{100 * value:.2f}"


def _score(score: TaskScore, *, several: bool) -> str:
    text = _shown(score.mean, score.metric)
    if score.deviation is not None:
        text += f" ± {_shown(score.deviation, score.metric)}"
    return f"{text} ({len(score.scores)})" if several else text


def _published(score: TaskScore | None) -> str:
    if score is None or score.published is None:
        return NONE
    cell = score.published
    return f"{cell.score:.2f}" if cell.metric == score.metric else f"{cell.score:.2f} {cell.metric}"


def _range(row: Row, name: str, text: Any) -> str:
    """A number of a row's runs, from the smallest task's to the largest's; one where they are the same."""
    found = [score.measures[name] for score in row.tasks.values()]
    ends = sorted(value for value in found if value is not None)
    if not ends:
        return NONE
    return " to ".join(dict.fromkeys((text(ends[0]), text(ends[-1]))))


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else form.format(value)
