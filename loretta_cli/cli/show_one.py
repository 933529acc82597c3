"""One run on the screen, or as a document."""

from __future__ import annotations

from typing import Any

from loretta_cli.artifacts.adapter_choice import has_adapter
from loretta_cli.artifacts.run_settings import settings_of
from loretta_cli.artifacts.run_state import RunState
from loretta_cli.cli import run_curves
from loretta_cli.cli.next_steps import of_best, of_finished, of_unfinished
from loretta_cli.cli.run_curves import Canvas
from loretta_cli.cli.run_facts import facts, files_of
from loretta_cli.cli.run_rows import (
    bytes_in_words,
    count_in_words,
    document,
    metric_in_words,
    score_in_words,
    status_in_words,
    tell_stars,
)
from loretta_cli.numerals import counted
from loretta_cli.report import Reporter
from loretta_cli.report.estimates import Estimates

_EVENTS_SHOWN = 8


def show_one(state: RunState, reporter: Reporter, canvas: Canvas) -> None:
    """Say everything that the folder of a run tells.

    Args:
        state: Of the run.
        reporter: Shows it.
        canvas: For the curves.
    """
    estimates = run_curves.estimates_of(state)
    reporter.table(f"{state.run.path}: {status_in_words(state)}", ("", "run"), list(facts(state).items()))
    if state.reason:
        reporter.line(f"{state.status}: {state.reason}")
    _settings(state, reporter)
    _scores(state, reporter)
    courses = run_curves.curves_of(state, estimates)
    if courses:
        reporter.table(
            f"Curves over {counted(_last_step(state, estimates), 'step')}",
            run_curves.columns(several=False),
            run_curves.rows([("", courses)], canvas, one_scale=False),
        )
    _events(estimates, reporter)
    _stages(state, reporter)
    files = files_of(state.run)
    reporter.table("Files", ("file", "size"), [(name, bytes_in_words(size)) for name, size in files.items()])
    commands = next_commands(state)
    reporter.next_commands(commands)
    reporter.result({"runs": [full_document(state, estimates)]})


def next_commands(state: RunState) -> list[str]:
    """What to do with a run now: use it, or go on with it and use its best adapter so far."""
    if state.status == "finished" and state.config is not None:
        return of_finished(state.run.path, state.config)
    commands = []
    # A stage is gone on with by the run of all tasks, a cell by its comparison.
    if state.resumable and state.run.path.absolute().parent.name not in ("stages", "cells"):
        commands += of_unfinished(state.run.path)
    if state.config is not None and has_adapter(state.run.best):
        commands += of_best(state.run.path)
    return commands


def full_document(state: RunState, estimates: Estimates) -> dict[str, Any]:
    """A run as plain data, with settings, curves, events and files."""
    settings = [] if state.config is None else settings_of(state.run, state.config)
    return {
        **document(state, state.run.path.name),
        "settings": [{"key": one.key, "value": one.value, "origin": one.origin} for one in settings],
        "curves": run_curves.as_json(run_curves.curves_of(state, estimates)),
        "events": [{"step": step, "event": event} for step, event in estimates.events],
        "files": files_of(state.run),
        "next": next_commands(state),
    }


def _last_step(state: RunState, estimates: Estimates) -> int:
    logged = [int(str(record["step"])) for record in state.records]
    return max([*logged, *list(estimates.steps)[-1:]], default=0)


def _settings(state: RunState, reporter: Reporter) -> None:
    settings = [] if state.config is None else settings_of(state.run, state.config)
    if settings:
        rows = [(setting.key, setting.shown, setting.origin) for setting in settings]
        reporter.table("Settings, given or not the default", ("setting", "value", "from"), rows)


def _scores(state: RunState, reporter: Reporter) -> None:
    if not state.metrics:
        return
    step = f"step {state.best_step}" if state.best_step is not None else "no step"
    title = f"Best evaluation so far, {state.split} rows, {step}"
    if state.report:
        rows = state.report.get("rows")
        of = f", {counted(rows, 'row')}" if isinstance(rows, int) else ""
        title = f"Validation{of}, the adapter of {step} of {state.report['steps']}"
    if state.stages:
        title = f"After the last stage, {state.tasks[-1]}: validation"
    reporter.table(
        title,
        ("metric", "value"),
        [(name, metric_in_words(name, value)) for name, value in state.metrics.items()],
    )


def _events(estimates: Estimates, reporter: Reporter) -> None:
    """What happened out of the ordinary in a zeroth-order training: how often, and the last of each."""
    if not estimates.events:
        return
    rows = []
    for name, count in estimates.counts().items():
        steps = [step for step, event in estimates.events if event == name]
        if steps:
            more = "…, " if len(steps) > _EVENTS_SHOWN else ""
            rows.append((name, f"{count:,}", more + ", ".join(map(str, steps[-_EVENTS_SHOWN:]))))
    reporter.table("Events", ("event", "times", "at steps"), rows)


def _stages(state: RunState, reporter: Reporter) -> None:
    if not state.stages:
        return
    rows = [
        (
            stage.run.path.name,
            status_in_words(stage),
            *score_in_words(stage),
            count_in_words(stage.best_step),
        )
        for stage in state.stages
    ]
    reporter.table("Stages, each after its own", ("stage", "status", "metric", "score", "best step"), rows)
    tell_stars(state.stages, reporter)
