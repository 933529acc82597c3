"""``train --dry-run``: everything resolved and checked, nothing loaded but config, tokenizer and rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loretta_cli.config import Config, LoadedConfig
from loretta_cli.measure.parameters import ParameterCount
from loretta_cli.numerals import counted
from loretta_cli.planning.checking import without_weights
from loretta_cli.planning.data_facts import SplitFacts, facts_of, label_warnings
from loretta_cli.planning.first_row import first_row
from loretta_cli.planning.matched import Matched, matched_modules
from loretta_cli.planning.memory import Memory, memory_of
from loretta_cli.planning.passes import largest_batch, padded_tokens
from loretta_cli.planning.plan import Plan, make_plan
from loretta_cli.planning.row_view import RowView, view_of

ROWS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would run.

    Args:
        asked: The resolved config.
        config: The same as a mapping.
        settings: Rows of (setting, value, where it is from).
        count: What would train.
        notes: What was found in the data.
        warnings: What may spoil the run.
        first_row: The first row to train on, as the model meets it.
        matched: The modules that the adapter sits on.
        rows: The first rows to train on, with the tokens that are trained on.
        splits: What is to be known of the rows of each split.
        memory: What the training would take.
        parts: Rows to train on as the model meets them: of language modelling, parts of texts.
    """

    asked: Config
    config: Mapping[str, Any]
    settings: Sequence[tuple[str, str, str]]
    count: ParameterCount
    notes: Sequence[str]
    warnings: Sequence[str]
    first_row: Mapping[str, str]
    matched: Sequence[Matched]
    rows: Sequence[RowView]
    splits: Sequence[SplitFacts]
    memory: Memory
    parts: int


def dry_run(loaded: LoadedConfig, plan: Plan | None = None, *, share: int = 1) -> DryRun:
    """Resolve a config as ``train`` would, on a model without weights.

    Args:
        loaded: The config, and where its values were given.
        plan: Its plan, where it is made already.
        share: How many processes would share a batch.

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
    form, data = plan.form, plan.data
    splits = {"train": data.train, "validation": data.validation}
    if data.selection is not data.validation and data.selection:
        splits["selection"] = data.selection
    encoded = {name: form.encode(examples) for name, examples in splits.items()}
    facts = [facts_of(form, name, examples, encoded[name]) for name, examples in splits.items()]
    at_once = adapted.config.training.evaluation_batch_size
    batches = [largest_batch(part.rows, at_once) for name, part in encoded.items() if name != "train"]
    train = encoded["train"].rows
    shortened = sum(part.shortened for part in encoded.values())
    total = counted(sum(len(part.rows) for part in encoded.values()), "row")
    cut = counted(shortened, f"of {total} is", f"of {total} are")
    cut += f" longer than {counted(form.max_length, 'token')}"
    is_split = form.task.kind == "language-modeling"  # a text makes several rows then
    views = [
        view_of(form, data.train[0 if is_split else number], row)
        for number, row in enumerate(train[:ROWS_SHOWN])
    ]
    return DryRun(
        asked=adapted.config,
        config=config,
        settings=settings,
        count=adapted.count,
        notes=(*data.notes, cut) if shortened else data.notes,
        warnings=label_warnings(facts[0]),
        first_row=first_row(form, data.train[0], train[0]),
        matched=matched_modules(adapted.model),
        rows=views,
        splits=facts,
        memory=memory_of(plan, adapted.config, train, max(batches, key=padded_tokens), share=share),
        parts=len(train),
    )


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
