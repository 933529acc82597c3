"""``loretta compare``: a grid of runs and what they say together."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from loretta_cli.cli import completion, options
from loretta_cli.cli.shell import check_remote_code, command, quiet_transformers, signals_interrupt
from loretta_cli.errors import ConfigError, Interrupted
from loretta_cli.numerals import counted
from loretta_cli.processes import processes
from loretta_cli.report import Reporter

if TYPE_CHECKING:
    from loretta_cli.grid.axes import Faults
    from loretta_cli.grid.cells import Cell
    from loretta_cli.grid.folder import GridFolder

EPILOG = options.examples(
    "loretta compare --model bundled:minilm --method adp,rep,lora --task sst2,trec --output comparison",
    "loretta compare 'paper/table1-deberta-sst2-*' --output table1-sst2 --dry-run",
    "loretta compare my-grid.yaml --seed 0,1,2 --output ablation",
)


def compare(
    recipes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RECIPE]...",
            help="Recipes, globs of shipped ones, or one grid file.",
            autocompletion=completion.recipes,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", metavar="M", help="Hub id, folder or bundled name; may be repeated."),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", metavar="X,...", help="Methods: adp,rep,lora.", autocompletion=completion.methods
        ),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task", "-t", metavar="T,...", help="Tasks: sst2,boolq.", autocompletion=completion.tasks
        ),
    ] = None,
    seed: Annotated[
        list[str] | None, typer.Option("--seed", metavar="N,...", help="Seeds: 0,1,2. One run for each.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="DIR", help="Rows: a folder, or one with a sub-folder for each task."),
    ] = None,
    output: options.Output = None,
    overrides: options.Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the runs with their trainable parameters; write nothing.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try runs again that have failed before.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Train runs anew whose settings have changed."),
    ] = False,
    trust_remote_code: options.RemoteCode = False,
    json: options.Json = False,
) -> None:
    """Train every combination of recipes, models, methods, tasks and seeds, and compare.

    Started again, it goes on where it was: finished runs are kept. Exit code 1 if a run has failed.
    """
    with command(json=json, together=True) as reporter:
        if processes().count > 1:
            raise ConfigError("compare trains in one process.", hint="Start it without a launcher.")
        from loretta_cli.grid.axes import Axes, Faults, find_axes
        from loretta_cli.grid.cells import make_cells
        from loretta_cli.grid.folder import GridFolder

        faults = Faults()
        given = Axes(
            models=tuple(dict.fromkeys(model or ())),
            methods=_listed(method),
            tasks=_listed(task),
            seeds=_seeds(seed, faults),
        )
        axes = find_axes(recipes or (), given, faults)
        cells = make_cells(
            axes, faults, data=data, overrides=overrides or (), trust_remote_code=trust_remote_code
        )
        for cell in cells:
            check_remote_code(cell.config, trusted=trust_remote_code)
        if output is None:
            raise ConfigError("No output is given.", hint="Add --output DIR, the folder of the comparison.")
        folder = GridFolder(output.expanduser())
        folder.check(cells, overwrite=overwrite)
        if dry_run:
            if _dry_run(folder, cells, reporter):
                raise typer.Exit(2)
        elif _run(folder, cells, reporter, retry_failed=retry_failed):
            raise typer.Exit(1)


def _listed(values: Sequence[str] | None) -> tuple[str, ...]:
    """The parts of comma lists, each once."""
    parts = (part.strip() for value in values or () for part in value.split(","))
    return tuple(dict.fromkeys(part for part in parts if part))


def _seeds(values: Sequence[str] | None, faults: Faults) -> tuple[int, ...]:
    seeds = []
    for text in _listed(values):
        if text.isascii() and text.isdigit():
            seeds.append(int(text))
        else:
            faults.add(f"--seed: found {text!r}, expected whole numbers such as 0,1,2.")
    return tuple(dict.fromkeys(seeds))


def _run(folder: GridFolder, cells: Sequence[Cell], reporter: Reporter, *, retry_failed: bool) -> bool:
    """Run and show; tells whether a cell has failed."""
    from loretta_cli.grid.documents import as_json
    from loretta_cli.grid.notes import notes
    from loretta_cli.grid.run import run_grid
    from loretta_cli.grid.tables import score_table, short_loss_table

    quiet_transformers()
    try:
        with signals_interrupt():
            comparison = run_grid(folder, cells, reporter, retry_failed=retry_failed)
    except KeyboardInterrupt as stop:
        again = shlex.join(["loretta", *sys.argv[1:]])
        message, hint = str(stop) or "Interrupted.", f"Finished runs are kept. Go on: {again}"
        raise Interrupted(message, hint=hint) from None
    if comparison.finished:
        reporter.table("Comparison", *score_table(comparison))
        reporter.table(f"Losses (more columns: {folder.table.name})", *short_loss_table(comparison))
        for note in notes(comparison):
            reporter.line(note)
    if comparison.failed:
        failed = f"{len(comparison.failed)} of {counted(len(cells), 'run')} failed"
        reporter.note(f"{failed}, {folder.table.name} says why; try again: --retry-failed")
    more = f", {folder.passes_picture.name}" if comparison.has_zeroth_order else ""
    reporter.line(f"written: {folder.table}, .csv, .json, .png{more} and {folder.losses_picture.name}")
    reporter.result({"output": str(folder.path), **as_json(comparison)})
    return bool(comparison.failed)


def _dry_run(folder: GridFolder, cells: Sequence[Cell], reporter: Reporter) -> bool:
    """Show what would run; tells whether a cell cannot run."""
    from loretta_cli.grid.checks import Check, check_cells, told_once
    from loretta_cli.grid.folder import reason_of
    from loretta_cli.grid.scores import compare as read_comparison

    quiet_transformers()
    states = read_comparison(folder, cells).cells
    checks = check_cells([one.cell for one in states if one.result is None])
    rows, documents, wrong = [], [], []
    for one in states:
        cell = one.cell
        check = checks[cell.name] if one.result is None else Check(one.result.trainable)
        if check.error is not None:
            wrong.append((cell, check.error))
        shown = "-" if check.trainable is None else f"{check.trainable:,}"
        state = one.state if check.error is None else "cannot run"
        rows.append((cell.name, one.column, cell.method, shown, state))
        documents.append(
            {
                "name": cell.name,
                "model": cell.model,
                "method": cell.method,
                "task": cell.task,
                "data": cell.source,
                "column": one.column,
                "seed": cell.seed,
                "settings": cell.said,
                "state": one.state,
                "reason": (one.reason or None) if check.error is None else reason_of(check.error),
                "hint": getattr(check.error, "hint", None),
                "trainable_parameters": check.trainable,
            }
        )
    reporter.table(counted(len(cells), "run"), ("run", "task", "method", "trainable", "state"), rows)
    reporter.line(f"comparison: {folder.path} (not written)")
    reporter.result({"output": str(folder.path), "cells": documents})
    for told in told_once(wrong, "cannot run"):
        reporter.failure(told)
    return bool(wrong)
