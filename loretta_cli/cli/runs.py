"""``loretta runs``: what was trained, and how far the rest is."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loretta_cli.cli import completion, options
from loretta_cli.cli.shell import command
from loretta_cli.numerals import counted
from loretta_cli.report import Reporter

if TYPE_CHECKING:
    from loretta_cli.artifacts.run_state import RunState

EPILOG = options.examples(
    "loretta runs",
    "loretta runs --task sst2 --sort metric",
    "loretta runs my-comparison --method rep --method adp",
)
COLUMNS = (
    *("run", "status", "metric", "score", "method", "task", "model"),
    *("best step", "trainable", "adapter", "folder", "age"),
)


def runs(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="Where the runs are. Default: runs")
    ] = None,
    sort: Annotated[
        str,
        typer.Option("--sort", metavar="BY", help="time (newest first), metric (best), size or name."),
    ] = "time",
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            "-t",
            metavar="T",
            help="Only runs of this task; repeatable.",
            autocompletion=completion.tasks,
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="X",
            help="Only runs of this method; repeatable.",
            autocompletion=completion.methods,
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """List runs with status, score and size, those of comparisons included."""
    with command(json=json) as reporter:
        from loretta_cli.artifacts.run_listing import check_order, chosen, ordered, place_of_runs
        from loretta_cli.artifacts.run_search import states_below
        from loretta_cli.cli.run_rows import document

        check_order(sort)
        place = place_of_runs(folder)
        found = states_below(place)
        states = ordered(chosen(found, task or (), method or ()), sort)
        named = [(_name(state, place), state) for state in states]
        if not found:
            is_there = place.is_dir()
            reporter.line(f"There is no run in {place}." if is_there else f"There is no folder {place} yet.")
            reporter.next_commands(["loretta train quickstart"])
        elif not states:
            reporter.line(f"Of {counted(len(found), 'run')} in {place}, none fits the filters.")
        else:
            _show(named, len(found), place, reporter)
        reporter.result({"folder": str(place), "runs": [document(state, name) for name, state in named]})


def _name(state: RunState, place: Path) -> str:
    """The path below the folder."""
    path = state.run.path
    return path.name if path == place else str(path.relative_to(place))


def _show(named: Sequence[tuple[str, RunState]], total: int, place: Path, reporter: Reporter) -> None:
    from loretta_cli.cli.next_steps import of_unfinished
    from loretta_cli.cli.run_rows import tell_stars

    of = "" if len(named) == total else f" of {total}"
    title = f"{len(named)}{of} runs in {place}" if total != 1 else f"1 run in {place}"
    reporter.table(title, COLUMNS, [_row(name, state) for name, state in named])
    tell_stars([state for _, state in named], reporter)
    for name, state in named:
        if state.reason:
            reporter.line(f"{name} ({state.status}): {state.reason}")
    commands = [f"loretta show {shlex.quote(str(named[0][1].run.path))}"]
    first = next((state for _, state in named if state.resumable), None)
    # A run of a comparison is gone on with by the comparison.
    if first is not None and first.run.path.parent.name != "cells":
        commands += of_unfinished(first.run.path)
    reporter.next_commands(commands)


def _row(name: str, state: RunState) -> tuple[str, ...]:
    from loretta_cli.artifacts.run_listing import folder_size
    from loretta_cli.cli.run_rows import (
        age_in_words,
        bytes_in_words,
        count_in_words,
        model_of,
        score_in_words,
        status_in_words,
    )

    return (
        name,
        status_in_words(state),
        *score_in_words(state),
        state.method or "-",
        ", ".join(state.tasks) or "-",
        model_of(state),
        count_in_words(state.best_step),
        count_in_words(state.trainable),
        bytes_in_words(state.adapter_bytes),
        bytes_in_words(folder_size(state.run.path)),
        age_in_words(state.changed_at),
    )
