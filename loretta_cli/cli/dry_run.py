"""What ``train --dry-run`` shows, of one task or of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loretta_cli.cli.dry_run_tables import (
    cut_line,
    data_rows,
    disk_line,
    length_line,
    matched_rows,
    memory_rows,
    memory_warning,
    size,
)
from loretta_cli.numerals import counted
from loretta_cli.processes import processes
from loretta_cli.report import Reporter

if TYPE_CHECKING:
    from loretta_cli.config import LoadedConfig
    from loretta_cli.measure.machine import FreeMemory
    from loretta_cli.planning.dry_run import DryRun
    from loretta_cli.training.gradients.forecast import Forecast

_OF_THE_WHOLE = ("task.name", "task.shared_head")


def show_dry_run(loaded: LoadedConfig, folder: Path, reporter: Reporter) -> None:
    """Resolve a config as ``train`` would, and show it.

    Args:
        loaded: With a model and one task.
        folder: Where the run would go.
        reporter: Shows it.

    Raises:
        LorettaError: As ``train`` would.
    """
    from loretta_cli.planning.dry_run import dry_run

    result = dry_run(loaded, share=processes().count)
    found = _forecast(result)
    for note in result.notes:
        reporter.note(note)
    reporter.table("Settings", ("setting", "value", "from"), _that_are_read(result))
    document = _show(result, found, folder, reporter)
    _show_disk([document], reporter)
    reporter.line(f"run folder: {folder} (not written)")
    reporter.result({"run": str(folder), "config": result.config, **document})


def show_dry_run_of_stages(loaded: LoadedConfig, folder: Path, reporter: Reporter) -> None:
    """The same of several tasks: the first with all its settings, the others with those that differ.

    Args:
        loaded: With a model and several tasks.
        folder: Where the run would go.
        reporter: Shows it.

    Raises:
        LorettaError: As ``train`` would.
    """
    from loretta_cli.planning.stages import dry_run_stages

    config, stages = dry_run_stages(loaded)
    # All of them first: what one refuses is not to come after pages of another.
    found = [_forecast(stage) for stage in stages]
    whole = {key: config["task"][key.removeprefix("task.")] for key in ("task.names", "task.shared_head")}
    said = [
        (key, ", ".join(value) if isinstance(value, list) else str(value), loaded.origins.get(key, "default"))
        for key, value in whole.items()
    ]
    reporter.table("Several tasks", ("setting", "value", "from"), said)
    documents: list[Mapping[str, Any]] = []
    names = loaded.config.task.names or []
    for number, (name, stage, one) in enumerate(zip(names, stages, found, strict=True), 1):
        for note in stage.notes:
            reporter.note(f"{name}: {note}")
        known = {(key, value) for key, value, _ in stages[0].settings} if number > 1 else set()
        # Which task a stage has and whether its head is shared is said of the whole, above.
        settings = [
            row for row in _that_are_read(stage) if row[:2] not in known and row[0] not in _OF_THE_WHOLE
        ]
        title = f"Stage {number}, {name}" + (": what differs from stage 1" if number > 1 else "")
        reporter.table(title, ("setting", "value", "from"), settings)
        shown = _show(stage, one, folder, reporter, of=f"{name}: ")
        documents.append({"config": stage.config, **shown})
    _show_disk(documents, reporter)
    reporter.line(f"run folder: {folder} (not written)")
    reporter.result({"run": str(folder), **documents[-1], "config": config, "stages": documents})


def _that_are_read(result: DryRun) -> list[tuple[str, str, str]]:
    """The settings, but for the defaults of another gradient's section."""
    if result.config["training"]["gradient"] == "zo":
        return list(result.settings)
    return [row for row in result.settings if not row[0].startswith("zo.") or row[2] != "default"]


def _forecast(result: DryRun) -> Forecast:
    """How long the training is; refused as the training refuses it."""
    from loretta_cli.training.gradients.forecast import forecast

    return forecast(result.asked, result.parts)


def _show(
    result: DryRun, found: Forecast, folder: Path, reporter: Reporter, *, of: str = ""
) -> dict[str, Any]:
    """Show what is under the settings; returns it as a document."""
    from loretta_cli.measure.machine import free_disk, free_memory

    method = result.asked.adapter.method
    if result.matched:
        heads = ("module", "shape", "adapted", "how")
        reporter.table(f"Where {method} sits", heads, matched_rows(result.matched))
    parts = result.count.parts_in_words(method)
    reporter.marked(
        [(f"trainable parameters: {result.count.trainable:,} of {result.count.total:,} ({parts})", False)]
    )
    if kind := result.config["model"]["quantization"]:
        reporter.marked(
            [(f"base model: linear layers in {kind}; the head and what the adapter saves are not", False)]
        )
    reporter.marked([(length_line(result.asked, found), False)])
    _show_rows(result, reporter)
    for title, columns, rows in data_rows(result.splits, result.asked.data.max_length or 0):
        reporter.table(title, columns, rows)
    if uncut := cut_line(result.splits):
        reporter.marked([(uncut, False)])
    for warning in result.warnings:
        reporter.warn(of + warning)
    for one in result.matched:
        if one.adapted < one.of:
            missing = counted(one.of - one.adapted, "module of this name has", "modules of this name have")
            reporter.note(f"{of}{one.pattern}: {missing} no adapter")
    machine = free_memory()
    _show_memory(result, machine, reporter, of)
    needed = disk_needed(result, found)
    return {
        "parameters": result.count.as_json(),
        "first_row": result.first_row,
        "modules": [one.as_json() for one in result.matched],
        "rows": [one.as_json() for one in result.rows],
        "data": [one.as_json() for one in result.splits],
        "warnings": list(result.warnings),
        "length": found.as_json(),
        "memory": {**result.memory.as_json(), "machine": machine.as_json()},
        "disk": {"needed": needed, "free": free_disk(folder), "checkpoints": found.evaluations},
    }


def _show_rows(result: DryRun, reporter: Reporter) -> None:
    """The first rows, with the tokens marked that are trained on."""
    for number, view in enumerate(result.rows, 1):
        tokens = counted(view.tokens, "token")
        trained = f"{view.trained:,} of them trained on" if view.trained else view.said
        reporter.marked([(f"row {number}, as the model meets it: {tokens}, {trained}", False)])
        reporter.marked([("  ", False), *view.shown])
        if view.trained:
            reporter.marked([(f"  ({view.said})", False)])


def _show_memory(result: DryRun, machine: FreeMemory, reporter: Reporter, of: str) -> None:
    memory = result.memory
    if memory.estimates:
        columns, rows = memory_rows(memory, machine)
        reporter.table("Memory, estimated", columns, rows)
    if memory.why_not:
        reporter.note(f"{of}the memory could not be estimated ({memory.why_not})")
    if warning := memory_warning(memory, machine, result.asked):
        reporter.warn(of + warning)


def _show_disk(documents: Sequence[Mapping[str, Any]], reporter: Reporter) -> None:
    """What the whole run folder takes."""
    disks = [one["disk"] for one in documents]
    needed, checkpoints = (sum(one[key] for one in disks) for key in ("needed", "checkpoints"))
    free = disks[-1]["free"]
    reporter.marked([(disk_line(needed, free, checkpoints), False)])
    if needed > free:
        reporter.warn(
            f"the run folder takes about {size(needed)}, and the disk has {size(free)} free: write fewer "
            "checkpoints (--set training.evaluate_every=N), or choose another --output"
        )


def disk_needed(result: DryRun, found: Forecast) -> int:
    """Bytes of a run folder: the adapter, the best one, of zo the first one, and one a checkpoint.

    A checkpoint has the optimizer's state beside its adapter, and some 80 kB of others; tokenizer, curves and
    logs take a MB.
    """
    adapter = result.count.storage_bytes
    copies = 3 if result.asked.training.gradient == "zo" else 2
    chosen = result.memory.estimates.get(result.memory.chosen)
    state = chosen.rows["optimizer"] if chosen is not None else 2 * adapter
    return copies * adapter + found.evaluations * (adapter + state + 80_000) + 1_000_000
