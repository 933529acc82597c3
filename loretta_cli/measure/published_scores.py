"""What the papers report: every cell of :mod:`measure.published_tables` with its metric and its caveat.

Imports the tables and the names of well-known models; nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from loretta_cli.measure import published_tables as printed
from loretta_cli.measure.published_tables import Gradient
from loretta_cli.models.bundled import find_architecture


@dataclass(frozen=True, slots=True)
class PublishedScore:
    """One cell of a paper's table.

    Args:
        table: Such as "LoRETTA Table 2".
        model: Hub id.
        method: As ``adapter.method`` says it; "none" is the model as it is.
        task: As ``task.name`` says it.
        setting: What differs from the method's usual settings, as text; empty for the headline result.
        gradient: How it was trained.
        metric: Name of the metric that the number is, whatever the paper calls it.
        score: As printed: percent, but for a loss.
        reason: Why to read the number with care; empty where nothing is known beyond the usual noise of
            about one point.
    """

    table: str
    model: str
    method: str
    task: str
    setting: str
    gradient: Gradient
    metric: str
    score: float
    reason: str = ""


_METRICS = {
    "cola": "matthews_correlation",
    "drop": "f1",
    "mrpc": "f1",
    "qqp": "f1",
    "squad": "f1",
    "stsb": "spearman",
}
"""Accuracy for the others. The code counts accuracy where the paper says F1 for CB, WSC and ReCoRD."""
_METRICS_OF_TABLE = {"AdaZeta figure": "loss", "LoRETTA Table 4": "accuracy"}

_NAMED_F1 = "the paper calls it F1; its code computes accuracy"
_COPIED = "copied from another paper, not run"
_FORGOT = "every method is at chance on sst2 and below the majority class on mrpc"
_PUBLISHED_SETTINGS = "head=tt, train_norms=true"

_REASONS: tuple[tuple[tuple[str, str, str, str, str], str], ...] = (
    (("LoRETTA Table 1", printed.ROBERTA, "bitfit", "", ""), _COPIED),
    (("LoRETTA Table 1", printed.ROBERTA, "lora", "", ""), _COPIED),
    (("LoRETTA Table 1", printed.DEBERTA, "adp", "mrpc", ""), "Table 11 prints 92.53 for the same settings"),
    (("LoRETTA Table 1", printed.DEBERTA, "adp", "qnli", ""), "Table 7 prints 93.25 for the same settings"),
    (("LoRETTA Table 1", printed.DEBERTA, "rep", "sst2", ""), "Table 6 prints 94.4 for the same settings"),
    (("LoRETTA Table 2", "", "", "cb", ""), f"{_NAMED_F1}: 66.07 is 37 of 56"),
    (("LoRETTA Table 2", "", "", "record", ""), f"{_NAMED_F1}, to which exact_match is nearest"),
    (
        ("LoRETTA Table 2", "", "rep", "wsc", ""),
        f"{_NAMED_F1}, and 57.61 is no whole number of 104 rows; 54 rows were trained on",
    ),
    (
        ("LoRETTA Table 2", "", "", "wsc", ""),
        f"{_NAMED_F1}; 54 rows were trained on, and 63.46 is the majority class, 66 of 104",
    ),
    (("LoRETTA Table 3", "", "", "record", ""), f"{_NAMED_F1}, to which exact_match is nearest"),
    (
        ("LoRETTA Table 4", "", "lora", "", ""),
        f"the printed average is 55.70, that of the row 52.36; {_FORGOT}",
    ),
    (("LoRETTA Table 4", "", "", "", ""), f"the caption says loss, the numbers are accuracies; {_FORGOT}"),
    (("LoRETTA Table 6", "", "rep", "sst2", "tt_rank=5"), "Tables 1 and 11 print 95.53"),
    (("LoRETTA Table 6", "", "adp", "qnli", "tt_rank=5"), "Table 7 prints 93.25"),
    (("LoRETTA Table 7", "", "adp", "mrpc", "mode_shapes=8x8x12x8x8"), "Table 11 prints 92.53"),
    (("LoRETTA Table 7", "", "adp", "qnli", "mode_shapes=8x8x12x8x8"), "Tables 1, 6 and 11 print 92.99"),
    (("LoRETTA Table 11", "", "adp", "mrpc", _PUBLISHED_SETTINGS), "Tables 1 and 7 print 93.53"),
    (("LoRETTA Table 11", "", "adp", "qnli", _PUBLISHED_SETTINGS), "Table 7 prints 93.25"),
    (("LoRETTA Table 11", "", "rep", "sst2", _PUBLISHED_SETTINGS), "Table 6 prints 94.4"),
    (("AdaZeta", "", "", "", ""), "from a summary of the paper, not from the paper"),
    (("AdaZeta figure", "", "", "", ""), "a loss read off a figure"),
)
"""(table, model, method, task, setting) and a caveat; an empty name stands for all; the first that fits."""


@cache
def published_scores() -> tuple[PublishedScore, ...]:
    """Every cell, in the order of the tables."""
    return tuple(score for table in printed.TABLES for score in _cells(table))


def published_score(
    model: str, method: str, task: str, *, setting: str = "", gradient: Gradient = "backprop"
) -> PublishedScore | None:
    """The printed score of a method on a task.

    Args:
        model: Hub id or another name of a well-known model (``llama-2-7b``).
        method: Name of the method.
        task: Name of the task.
        setting: As :class:`PublishedScore` says it; empty for the method's usual settings.
        gradient: How it was trained.

    Returns:
        The first such cell in the order of the tables; None if no paper prints one.
    """
    known = find_architecture(model)
    wanted = (known[0] if known else model, method, task, setting, gradient)
    return next(
        (
            score
            for score in published_scores()
            if (score.model, score.method, score.task, score.setting, score.gradient) == wanted
        ),
        None,
    )


def _cells(table: printed.Table) -> Iterator[PublishedScore]:
    for (model, method, setting), values in table.rows.items():
        for task, value in zip(table.tasks, values, strict=True):
            if value is None:
                continue
            metric = _METRICS_OF_TABLE.get(table.name) or _METRICS.get(task, "accuracy")
            place = (table.name, model, method, task, setting)
            yield PublishedScore(*place, table.gradient, metric, value, _reason(place))


def _reason(place: tuple[str, str, str, str, str]) -> str:
    """The first caveat whose filled names all fit."""
    fitting = (
        reason
        for names, reason in _REASONS
        if all(name in ("", own) for name, own in zip(names, place, strict=True))
    )
    return next(fitting, "")
