"""``train --dry-run``: everything resolved and checked, nothing loaded but config, tokenizer and rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loretta_cli.config import LoadedConfig
from loretta_cli.measure.parameters import ParameterCount
from loretta_cli.numerals import counted
from loretta_cli.planning.checking import without_weights
from loretta_cli.planning.first_row import first_row
from loretta_cli.planning.plan import Plan, make_plan


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would run.

    Args:
        config: The resolved config as a mapping.
        settings: Rows of (setting, value, where it is from).
        count: What would train.
        notes: What was found in the data.
        first_row: The first row to train on, as the model meets it.
    """

    config: Mapping[str, Any]
    settings: Sequence[tuple[str, str, str]]
    count: ParameterCount
    notes: Sequence[str]
    first_row: Mapping[str, str]


def dry_run(loaded: LoadedConfig, plan: Plan | None = None) -> DryRun:
    """Resolve a config as ``train`` would, on a model without weights.

    Args:
        loaded: The config, and where its values were given.
        plan: Its plan, where it is made already.

    Raises:
        LorettaError: As ``train`` would.
    """
    plan = plan or make_plan(loaded.config)
    adapted = without_weights(plan)
    config = adapted.config.model_dump()
    preset = getattr(adapted.model.peft_config["default"], "preset", "none")
    settings = [
        (key, _shown(value), loaded.origins.get(key) or _default_origin(key, str(preset)))
        for key, value in _flat(config)
        if value is not None
    ]
    rows = plan.form.encode((*plan.data.train, *plan.data.selection, *plan.data.validation))
    total = counted(len(rows.rows), "row")
    cut = counted(rows.shortened, f"of {total} is", f"of {total} are")
    cut += f" longer than {counted(plan.form.max_length, 'token')}"
    notes = (*plan.data.notes, cut) if rows.shortened else plan.data.notes
    shown = first_row(plan.form, plan.data.train[0], rows.rows[0])
    return DryRun(config, settings, adapted.count, notes, shown)


def _flat(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for name, item in value.items():
        key = f"{prefix}{name}"
        rows += (
            _flat(item, f"{key}.")
            if isinstance(item, Mapping) and key != "adapter.mode_shapes"
            else [(key, item)]
        )
    return rows


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _default_origin(key: str, preset: str) -> str:
    if key.startswith(("data.columns.", "data.labels")):
        return "found in the data"
    if key == "model.quantization":
        return "found in the model"
    return f"preset {preset}" if key.startswith("adapter.") else "default"
