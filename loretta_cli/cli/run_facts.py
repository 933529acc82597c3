"""What is said first of a run, and its files."""

from __future__ import annotations

import json
from typing import Any

from loretta_cli.artifacts.files import read_text
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.artifacts.run_listing import folder_size
from loretta_cli.artifacts.run_state import RunState
from loretta_cli.cli.run_rows import (
    SO_FAR,
    age_in_words,
    bytes_in_words,
    count_in_words,
    score_in_words,
)
from loretta_cli.config import Config
from loretta_cli.numerals import counted

_FILES = (
    *("config.yaml", "origins.json", "environment.json", "fingerprints.json", "metrics.jsonl"),
    *("metrics.csv", "curves.png", "forgetting.png", "forgetting.md", "trajectory.jsonl", "start"),
    *("throughput.jsonl", "tensorboard", "wandb"),
    *("adapter", "best", "checkpoints", "stages", "README.md", "report.json"),
)


def facts(state: RunState) -> dict[str, str]:
    """Name to value, as far as they are known."""
    config, report = state.config, state.report
    if config is None:
        return {"folder": bytes_in_words(folder_size(state.run.path))}
    found = {
        "model": _model(config),
        "method": _method(config),
        "task": ", then ".join(state.tasks) + f" ({config.task.form})",
        "data": _data(config, report),
    }
    if config.training.gradient == "zo":
        found["gradient"] = _zeroth_order(report.get("zeroth_order"))
    metric, score = score_in_words(state)
    if score != "-":
        starred = score.endswith("*")
        found["score"] = f"{metric} {score.rstrip('*')}" + (f", {SO_FAR}" if starred else "")
    if state.trainable is not None:
        total = report.get("total_parameters")
        of = f" of {total:,} ({100 * state.trainable / total:.3f} %)" if isinstance(total, int) else ""
        found["trainable"] = f"{state.trainable:,}{of}"
    found["adapter file"] = bytes_in_words(state.adapter_bytes)
    if "seconds" in report and "peak_memory_bytes" in report:
        memory = report["peak_memory_bytes"] / 2**20
        found["training"] = (
            f"{counted(report['steps'], 'step')}, {report['seconds']:,.0f} s, peak {memory:,.0f} MiB"
        )
    if made := _made_with(state.run):
        found["made with"] = made
    found["last change"] = f"{age_in_words(state.changed_at)} ago"
    return found


def figures(state: RunState) -> dict[str, str]:
    """Name to number, for columns beside each other."""
    report, metric = state.report, score_in_words(state)
    zo = report.get("zeroth_order")
    memory = report.get("peak_memory_bytes")
    found = {
        metric[0]: metric[1],
        "best step": count_in_words(state.best_step),
        "steps": count_in_words(state.step),
        "trainable parameters": count_in_words(state.trainable),
        "adapter file": bytes_in_words(state.adapter_bytes),
        "forward passes": count_in_words(zo["forward_passes"] if isinstance(zo, dict) else None),
        "seconds": f"{report['seconds']:,.0f}" if "seconds" in report else "-",
        "peak memory": "-" if memory is None else f"{memory / 2**20:,.0f} MiB",
        "last change": f"{age_in_words(state.changed_at)} ago",
    }
    return {name: text for name, text in found.items() if text != "-"}


def files_of(run: RunFolder) -> dict[str, int]:
    """The files and folders that a training wrote, with their bytes."""
    sizes = {}
    for name in _FILES:
        path = run.path / name
        if path.is_dir():
            count = sum(1 for item in path.iterdir() if item.is_dir())
            label = f"{name}/ ({counted(count, 'checkpoint')})" if name == "checkpoints" else f"{name}/"
            sizes[label] = folder_size(path)
        elif path.is_file():
            sizes[name] = path.stat().st_size
    return sizes


def _model(config: Config) -> str:
    quantized = f", {config.model.quantization}" if config.model.quantization else ""
    return f"{config.model.name}{quantized}"


def _method(config: Config) -> str:
    adapter = config.adapter
    sizes = {
        "bottleneck": adapter.bottleneck,
        "TT rank": adapter.tt_rank,
        "virtual tokens": adapter.virtual_tokens,
    }
    preset = f", preset {adapter.preset}" if adapter.method in ("adp", "rep") else ""
    return adapter.method + "".join(f", {name} {value}" for name, value in sizes.items() if value) + preset


def _data(config: Config, report: Any) -> str:
    source = config.data.source or "the task's data set on the hub"
    rows = report.get("data")
    if not isinstance(rows, dict):
        return f"{source} (protocol {config.data.protocol})"
    counts = ", ".join(f"{rows.get(f'{split}_rows', 0):,} {split}" for split in ("train", "selection"))
    return f"{source}: {counts}, {report['rows']:,} validation rows (protocol {config.data.protocol})"


def _zeroth_order(summary: Any) -> str:
    if not isinstance(summary, dict):
        return "zo (forward passes alone)"
    events = ", ".join(f"{name} {count}" for name, count in summary["events"].items() if count)
    passes = counted(summary["forward_passes"], "forward pass", "forward passes")
    return f"zo: {passes}, eps {summary['eps']:g}" + (f"; {events}" if events else "")


def _made_with(run: RunFolder) -> str:
    """Versions, as far as they are recorded."""
    try:
        packages = json.loads(read_text(run.environment_file))["packages"]
        named = ("loretta-cli", "torch", "transformers", "peft")
        return ", ".join(f"{name} {packages[name]}" for name in named if packages.get(name))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
