"""The model card of a run: what it is, how it was made, how to load it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loretta_cli import __version__
from loretta_cli.artifacts.card_facts import data_section, limits, made_with, public_name
from loretta_cli.artifacts.citations import citations
from loretta_cli.artifacts.files import folder_bytes, write_text
from loretta_cli.artifacts.loader_snippet import loader_snippet, snippet_base
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.artifacts.sizes import size_section
from loretta_cli.numerals import counted

if TYPE_CHECKING:
    from loretta_cli.config import Config
    from loretta_cli.planning.plan import AdaptedModel, Plan

_TOLD = {"model": ("dtype", "quantization"), "data": ("max_length", "seed")}
"""Of these sections, the settings that the card's other parts do not tell."""


def write_card(run: RunFolder, plan: Plan, adapted: AdaptedModel, report: dict[str, Any]) -> None:
    """Write ``README.md`` of a run folder."""
    config, count = adapted.config, adapted.count
    base = public_name(config.model.name or "")
    scores = "\n".join(f"| {name} | {value:.4f} |" for name, value in report["metrics"].items())
    parts = count.parts_in_words(config.adapter.method)
    drawn = "Loss, metric and learning rate"
    if report["zeroth_order"] is not None:
        drawn = "Loss, metric, learning rate, queries and projected gradient"
    method = config.adapter.method
    tags = ["loretta", *(["tensor-train"] if method in ("adp", "rep") else []), method]
    text = f"""\
---
base_model: {base}
library_name: peft
tags: [{", ".join(tags)}]
---

# {config.adapter.method} adapter for {base} on {plan.data.task.name}

Trained with loretta {__version__}. {count.trainable:,} trainable parameters ({count.percent:.3f} % of the
base model): {parts}. The adapter file has {folder_bytes(run.adapter):,} bytes with the tokenizer.\
{_how(report["zeroth_order"])}

## Results on the validation split (step {report["best_step"]})

| metric | value |
|---|---|
{scores}

{counted(report["rows"], "row")}. The checkpoint was chosen by {report["selection"]["metric"]} on \
{_chosen_on(plan)}.\
{_caveat(report["shortened"], report["ties"])}

![{drawn} over the steps](curves.png)

## Data

{data_section(plan, report["data"])}
## Load it

```python
{loader_snippet(snippet_base(plan), str(adapted.model.dtype), adapted.model.active_peft_config.peft_type)}
```

{size_section(run, total_parameters=count.total)}
## Settings

| setting | value |
|---|---|
{_settings(config)}

{made_with(run)}

## Use and limits

{limits(plan, base)}

## Citation

```bibtex
{citations(config)}
```
"""
    write_text(run.card, text)


def _how(zeroth_order: dict[str, Any] | None) -> str:
    """A sentence about where the gradients came from, if not from backpropagation."""
    if zeroth_order is None:
        return ""
    return f"""

Its gradients are zeroth-order estimates, from {zeroth_order["forward_passes"]:,} forward passes (eps \
{zeroth_order["eps"]:g}) and no
backward pass. With `start/` and `trajectory.jsonl`, `loretta replay` computes the adapter again."""


def _chosen_on(plan: Plan) -> str:
    """The rows that chose the checkpoint, in words."""
    if plan.data.selection_split == "validation":
        return "these same rows, as the paper did, so these figures are a little too good"
    return f"{counted(len(plan.data.selection), 'other row')}, held out of the training rows"


def _caveat(shortened: int, ties: int) -> str:
    """A sentence about truncated rows and ties, if there are any."""
    if not (shortened or ties):
        return ""
    were = counted(shortened, "was", "were")
    return f"""
Of the reported rows, {were} truncated, and in {ties:,} the two best options have equal scores."""


def _settings(config: Config) -> str:
    """The rows of the table of settings that are set; where the rows are from is said above it."""
    sections = ["model", "data", "adapter", "training", *(["zo"] if config.training.gradient == "zo" else [])]
    return "\n".join(
        f"| {section}.{name} | {_cell(value)} |"
        for section in sections
        for name, value in getattr(config, section).model_dump().items()
        if value not in (None, []) and name in _TOLD.get(section, (name,))
    )


def _cell(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text.replace("|", "\\|")
