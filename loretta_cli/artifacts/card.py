"""The model card of a run: what it is, how it was made, how to load it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loretta_cli import __version__
from loretta_cli.artifacts.card_facts import data_section, limits, made_with, public_name
from loretta_cli.artifacts.citations import citations
from loretta_cli.artifacts.files import folder_bytes, write_text
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.artifacts.sizes import size_section
from loretta_cli.models.forms import auto_class
from loretta_cli.models.quantization import kept_modules, stored_quantization
from loretta_cli.numerals import counted
from loretta_cli.tuners.peft_types import LorettaPeftType

if TYPE_CHECKING:
    from loretta_cli.planning.plan import AdaptedModel, Plan


def write_card(run: RunFolder, plan: Plan, adapted: AdaptedModel, report: dict[str, Any]) -> None:
    """Write ``README.md`` of a run folder."""
    config, count = adapted.config, adapted.count
    base = public_name(config.model.name or "")
    scores = "\n".join(f"| {name} | {value:.4f} |" for name, value in report["metrics"].items())
    parts = count.parts_in_words(config.adapter.method)
    settings = "\n".join(
        f"| {section}.{name} | {_cell(value)} |"
        for section in ("adapter", "training", *(["zo"] if config.training.gradient == "zo" else []))
        for name, value in getattr(config, section).model_dump().items()
        if value is not None
    )
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

![Loss, metric and learning rate over the steps](curves.png)

## Data

{data_section(plan, report["data"])}
## Load it

```python
{loader_snippet(plan, base, str(adapted.model.dtype), adapted.model.active_peft_config.peft_type)}
```

{size_section(run, total_parameters=count.total)}
## Settings

| setting | value |
|---|---|
{settings}

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

Its gradients are zeroth-order estimates, from {zeroth_order["forward_passes"]:,} forward passes and no
backward pass. With `start/` and `trajectory.jsonl`, `loretta replay` computes the adapter again."""


def loader_snippet(plan: Plan, base: str, dtype: str, peft_type: str, *, folder: str = "adapter") -> str:
    """Python that loads the adapter with plain PEFT; the number of labels is part of the base's shape.

    Args:
        plan: Of the run.
        base: The base model's name.
        dtype: Of its weights, as Python writes it.
        peft_type: Of the adapter: our own types are registered by an import.
        folder: Where the adapter is.
    """
    classifies = plan.form.name == "classification"
    auto = auto_class(plan.form.name, plan.model_config).__name__
    if plan.source.gguf_file is not None:
        labels = len(plan.labels) if classifies else None
        return _gguf_snippet(base, auto, dtype, peft_type, labels=labels, folder=folder)
    revision = plan.config.model.revision
    options = f", num_labels={len(plan.labels)}" if classifies else ""
    options += f", dtype={dtype}" + (f', revision="{revision}"' if revision else "")
    quantizer = _quantizer(plan, dtype)
    options += ", quantization_config=quantizer" if quantizer else ""
    note = "  # the folder of the base model" if plan.source.is_local else ""
    lines = ["import torch", "from peft import PeftModel", f"from transformers import {auto}", ""]
    if quantizer:
        lines[2] = f"from transformers import {auto}, BitsAndBytesConfig"
    lines.append(f'base = "{base}"{note}')
    if base.startswith("bundled:"):
        lines.insert(0, "from loretta_cli.models.source import find_model")
        lines[-1] = f'base = find_model("{base}").location'
    lines += [f"quantizer = {quantizer}"] if quantizer else []
    if peft_type in set(LorettaPeftType):
        lines.insert(0, "import loretta_cli.tuners  # registers the adapter types with PEFT")
    lines.append(f'model = PeftModel.from_pretrained({auto}.from_pretrained(base{options}), "{folder}")')
    return "\n".join(lines)


def _gguf_snippet(
    base: str, auto: str, dtype: str, peft_type: str, *, labels: int | None, folder: str
) -> str:
    """The snippet for a base model in a GGUF file, of which transformers alone does not read all settings."""
    note = "" if base.startswith("bundled:") else "  # the file of the base model"
    own = ["import loretta_cli.tuners  # registers the adapter types with PEFT"]
    lines = [
        *(own if peft_type in set(LorettaPeftType) else []),
        "import torch",
        "from loretta_cli.models.loading import load_config",
        "from loretta_cli.models.source import find_model",
        "from peft import PeftModel",
        f"from transformers import {auto}, GgufConfig",
        "",
        f'base = find_model("{base}"){note}',
        "config = load_config(base)",
        *([f"config.num_labels = {labels}"] if labels is not None else []),
        "unpacked = GgufConfig(dequantize=True)",
        f"options = dict(gguf_file=base.gguf_file, quantization_config=unpacked, dtype={dtype})",
        f"loaded = {auto}.from_pretrained(base.folder, config=config, **options)",
        f'model = PeftModel.from_pretrained(loaded, "{folder}")',
    ]
    return "\n".join(lines)


def _quantizer(plan: Plan, dtype: str) -> str:
    """Python of the settings that the base was quantised with while loading, or an empty string."""
    kind = plan.config.model.quantization
    if kind is None or stored_quantization(plan.model_config) is not None:
        return ""
    keep = f"llm_int8_skip_modules={kept_modules(plan.model_config.model_type)}"
    if kind == "int8":
        return f"BitsAndBytesConfig(load_in_8bit=True, {keep})"
    return (
        f'BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="{kind}", bnb_4bit_use_double_quant=True,'
        f" bnb_4bit_compute_dtype={dtype}, {keep})"
    )


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


def _cell(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text.replace("|", "\\|")
