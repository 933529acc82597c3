"""Two or more runs side by side: what differs, scores with the better one named, curves on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from loretta_cli.artifacts.run_settings import differing, shown
from loretta_cli.artifacts.run_state import RunState
from loretta_cli.cli import run_curves
from loretta_cli.cli.run_curves import Canvas
from loretta_cli.cli.run_facts import facts, figures
from loretta_cli.cli.run_rows import metric_in_words, status_in_words, tell_stars
from loretta_cli.cli.show_one import full_document
from loretta_cli.errors import ConfigError
from loretta_cli.report import Reporter
from loretta_cli.tasks import OWN
from loretta_cli.tasks.base import LOWER_IS_BETTER

_WHICH_ROWS = ("data.source", "data.validation_rows", "data.validation_fraction", "data.columns.text")
"""Settings that decide which rows are scored."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of runs side by side.

    Args:
        title: Which ones.
        rows: Metric, one value a run (None where it has none), and the letters of the best ones.
        caveat: Why they cannot be compared, or not quite; or an empty string.
        comparable: Whether the best ones are named.
    """

    title: str
    rows: Sequence[tuple[str, list[float | None], str]]
    caveat: str
    comparable: bool


def show_several(states: Sequence[RunState], reporter: Reporter, canvas: Canvas) -> None:
    """Show the runs beside each other.

    Args:
        states: Two or more.
        reporter: Shows it.
        canvas: For the curves.

    Raises:
        ConfigError: If there are more than letters.
    """
    if len(states) > len(ascii_uppercase):
        raise ConfigError(f"{len(states)} runs are too many to show side by side.", hint="See loretta runs.")
    letters = ascii_uppercase[: len(states)]
    for letter, state in zip(letters, states, strict=True):
        reporter.line(f"{letter} = {state.run.path}: {status_in_words(state)}")
        if state.reason:
            reporter.line(f"    {state.reason}")
    said = [facts(state) for state in states]
    common = [
        (name, text)
        for name, text in said[0].items()
        if name != "last change" and all(one.get(name) == text for one in said)
    ]
    if common:
        reporter.table("In common", ("", "all"), common)
    measured = [figures(state) for state in states]
    names = dict.fromkeys(name for one in measured for name in one)
    rows = [(name, *(one.get(name, "-") for one in measured)) for name in names]
    reporter.table("Figures", ("", *letters), rows)
    tell_stars(states, reporter)
    configs = [state.config for state in states if state.config is not None]
    changes = differing(configs) if len(configs) == len(states) else {}
    if changes:
        rows = [(key, *map(shown, values)) for key, values in changes.items()]
        reporter.table("Settings that differ", ("setting", *letters), rows)
    scores = compare_scores(states, changes)
    if scores.caveat:
        reporter.line(scores.caveat)
    if scores.rows:
        reporter.table(scores.title, ("metric", *letters, "better"), _score_cells(scores))
    estimates = [run_curves.estimates_of(state) for state in states]
    courses = [run_curves.curves_of(*pair) for pair in zip(states, estimates, strict=True)]
    if any(courses):
        named = list(zip(letters, courses, strict=True))
        scale = "one scale" if scores.comparable else "each on its own scale"
        reporter.table(
            f"Curves, {scale}, one axis of steps",
            run_curves.columns(several=True),
            run_curves.rows(named, canvas, one_scale=scores.comparable),
        )
    reporter.result(
        {
            "runs": [full_document(*pair) for pair in zip(states, estimates, strict=True)],
            "differing_settings": changes,
            "comparable": scores.comparable,
            "caveat": scores.caveat or None,
            "metrics": [
                {"metric": metric, "values": values, "better": list(best)}
                for metric, values, best in scores.rows
            ],
        }
    )


def compare_scores(states: Sequence[RunState], changes: dict[str, list[object]]) -> Scores:
    """The scores, and which is the better one where that can be said.

    Args:
        states: Of the runs.
        changes: The settings that differ.
    """
    all_finished = all(state.report for state in states)
    found = [state.metrics if all_finished else state.best_evaluation for state in states]
    title = "Validation" if all_finished else f"Best evaluation so far, {states[0].split} rows"
    caveat, comparable = _caveat(states, changes)
    rows = []
    for metric in dict.fromkeys(name for one in found for name in one):
        values = [one.get(metric) for one in found]
        rows.append((metric, values, _better(metric, values) if comparable else ""))
    return Scores(title, rows, caveat, comparable)


def _caveat(states: Sequence[RunState], changes: dict[str, list[object]]) -> tuple[str, bool]:
    """What stands against comparing the scores, and whether it forbids it."""
    tasks = [", then ".join(state.tasks) or "unknown" for state in states]
    if len(set(tasks)) > 1:
        by_letter = ", ".join(
            f"{one} is on {task}" for one, task in zip(ascii_uppercase, tasks, strict=False)
        )
        return f"{by_letter}: scores of different tasks cannot be compared, so no better one is named.", False
    if len({state.split for state in states}) > 1 and not all(state.report for state in states):
        return "Their checkpoints are chosen on different kinds of rows, so no better one is named.", False
    if "data.source" in changes and set(OWN).intersection(states[0].tasks):
        return "They are trained on different data of your own, so no better one is named.", False
    other_rows = [key for key in _WHICH_ROWS if key in changes]
    if other_rows:
        return f"They may be scored on different rows ({', '.join(other_rows)} differ).", True
    return "", True


def _better(metric: str, values: Sequence[float | None]) -> str:
    """The letters of the best; none where all are equal or one has no value."""
    known = [value for value in values if value is not None]
    if len(known) < len(values) or len(set(known)) < 2:
        return ""
    best = (min if metric.rpartition("/")[2] in LOWER_IS_BETTER else max)(known)
    return "".join(letter for letter, value in zip(ascii_uppercase, values, strict=False) if value == best)


def _score_cells(scores: Scores) -> list[tuple[str, ...]]:
    return [
        (
            metric,
            *("-" if value is None else metric_in_words(metric, value) for value in values),
            best or ("=" if scores.comparable and len(set(values)) == 1 else "-"),
        )
        for metric, values, best in scores.rows
    ]
