"""The last screen of a training: scores, cost, files, and what to do next. Imports no torch at its top."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.cli.next_steps import of_finished
from loretta_cli.cli.run_facts import files_of
from loretta_cli.cli.run_rows import bytes_in_words
from loretta_cli.config import Config
from loretta_cli.numerals import counted
from loretta_cli.report import Reporter

_ABOUT = {
    "adapter/": "the best adapter, in PEFT's layout, with the tokenizer",
    "curves.png": "loss, metric and learning rate over the steps",
    "forgetting.png": "the scores of all tasks after each stage",
    "trajectory.jsonl": "what loretta replay rebuilds the adapter from",
    "README.md": "the model card",
    "report.json": "these figures for programs",
}
"""The files that are named; the others serve the tool itself."""


def show_report(report: Mapping[str, Any], folder: Path, config: Config, reporter: Reporter) -> None:
    """Show what a finished training reports.

    Args:
        report: Of the run.
        folder: Of the run, as it was asked for.
        config: Its settings.
        reporter: Shows it.
    """
    if "forgetting" in report:
        from loretta_cli.evaluation.forgetting import Forgetting

        found = Forgetting.from_json(report["forgetting"])
        reporter.table("Main metric of all tasks after each stage", found.columns, found.cells())
    title = f"Validation, {counted(report['rows'], 'row')}" if "rows" in report else "Validation"
    if config.task.names:
        title = f"Last stage, {config.task.names[-1]}: validation"
    reporter.table(title, ("", "result"), _rows(report))
    sizes = files_of(RunFolder(folder))
    files = [(name, about, bytes_in_words(sizes[name])) for name, about in _ABOUT.items() if name in sizes]
    reporter.table(f"Written to {folder}", ("file", "what", "size"), files)
    reporter.next_commands(of_finished(folder, config))
    reporter.result({name: value for name, value in report.items() if name != "schema_version"})


def _rows(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    trainable, total = report["trainable_parameters"], report["total_parameters"]
    rows = [(name, f"{value:.4f}") for name, value in report["metrics"].items()]
    rows.append(("best step", f"{report['best_step']} of {report['steps']}"))
    if selection := report.get("selection"):
        of = (
            "the same rows" if selection["split"] == "validation" else counted(selection["rows"], "other row")
        )
        rows.append(("chosen by", f"{selection['metric']} {selection['value']:.4f} on {of}"))
    rows.append(("trainable parameters", f"{trainable:,} of {total:,} ({100 * trainable / total:.3f} %)"))
    if zo := report.get("zeroth_order"):
        events = ", ".join(f"{name} {count}" for name, count in zo["events"].items() if count)
        rows.append(("forward passes", f"{zo['forward_passes']:,} (eps {zo['eps']:g})"))
        rows.append(("events", events or "none"))
    rows.append(("seconds", f"{report['seconds']:.1f}"))
    rows.append(("peak memory", f"{report['peak_memory_bytes'] / 2**20:,.0f} MiB"))
    return rows
