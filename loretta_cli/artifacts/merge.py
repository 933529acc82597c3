"""``loretta merge``: the updates of a run folded into the base weights, written, reloaded and compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loretta_cli.artifacts.card import public_name
from loretta_cli.artifacts.comparison import VERIFIED_ROWS, Comparison, compare, row_logits
from loretta_cli.artifacts.files import check_new_folder, new_folder, write_text
from loretta_cli.artifacts.restore import restore
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.errors import ConfigError, ExportError
from loretta_cli.models.forms import auto_class
from loretta_cli.models.loading import to_device
from loretta_cli.numerals import counted
from loretta_cli.report import Reporter
from loretta_cli.tuners.adp.layer import MERGE_REFUSAL
from loretta_cli.tuners.merging import merge_into_base

_BEFORE_TEXT = (
    "Virtual tokens cannot be merged: they stand before the text, and no weight of the base model can "
    "hold them."
)
_REFUSALS = {
    "adapters": "Dense adapters cannot be merged: they have a nonlinearity between their projections, so no "
    "weight of the base model can hold them.",
    "adp": MERGE_REFUSAL,
    "p-tuning": _BEFORE_TEXT,
    "prefix": _BEFORE_TEXT,
    "prompt": _BEFORE_TEXT,
}
"""Methods that cannot merge, with the reason: all but those of :data:`loretta_cli.methods.MERGED`."""


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What a merge has to say.

    Args:
        output: The folder written.
        comparison: Of the merged model with base and adapter.
        task: The task of the run; where the model has a classification head, it is this task's.
        head: Whether it has one.
        dequantized: What the base was quantised to, or None.
    """

    output: str
    comparison: Comparison
    task: str
    head: bool
    dequantized: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The fields of the contract, the tolerance, the task, and the base's quantisation (or null)."""
        return {
            "output": self.output,
            "max_abs_logit_difference": self.comparison.max_abs_difference,
            "tolerance": self.comparison.tolerance,
            "rows": self.comparison.rows,
            "verified": self.comparison.passed,
            "dequantized": self.dequantized,
            "task": self.task,
        }


def merge(
    run: RunFolder,
    output: Path,
    reporter: Reporter,
    *,
    data: str | None = None,
    dequantize: bool = False,
) -> MergeReport:
    """Write a plain transformers model with the adapter folded in.

    The written folder is loaded again with plain transformers and its logits are compared with those of base
    and adapter on rows of the run's validation split.

    Args:
        run: A finished run.
        output: The folder to write.
        reporter: Hears of progress.
        data: Rows to compare on, if the run's own are not at hand.
        dequantize: Merge into the numbers that the weights of a quantised base stand for. The model written
            is not quantised, and it is compared with such a base and the adapter.

    Raises:
        ConfigError: If the method cannot merge, or ``dequantize`` does not fit the base.
        ExportError: If the merged model differs by more than the tolerance; nothing is left behind.
    """
    method = run.read_config().adapter.method
    if method in _REFUSALS:
        raise ConfigError(
            _REFUSALS[method],
            hint="Serve the base model with the adapter, or train with --method rep, which merges.",
        )
    kind = run.read_config().model.quantization
    _check_dequantize(kind, dequantize)
    check_new_folder(output)
    restored = restore(run, data=data, rows=VERIFIED_ROWS, plain=dequantize)
    form, plan = restored.plan.form, restored.plan
    rows = form.encode(plan.data.validation).rows
    base = f"base (dequantised from {kind})" if kind else "base"
    reporter.note(f"computing the logits of {counted(len(rows), 'row')} with {base} and adapter")
    before = row_logits(restored.model, rows)
    merged: Any = merge_into_base(restored.model)
    dtype = next(parameter.dtype for parameter in merged.parameters())
    auto = auto_class(form.name, plan.model_config)
    with new_folder(output) as folder:
        merged.save_pretrained(folder)
        form.tokenizer.save_pretrained(folder)
        del merged, restored
        reporter.note("loading the merged model with plain transformers and comparing")
        again = auto.from_pretrained(folder, dtype=dtype, local_files_only=True)
        comparison = compare(before, row_logits(to_device(again), rows), dtype)
        if not comparison.passed:
            raise ExportError(
                f"The merged model differs from {base} and adapter by {comparison.max_abs_difference:.3g} in "
                f"a logit, more than the {comparison.tolerance:.3g} accepted for {dtype}; nothing was "
                "written.",
                hint="Train and merge with model.dtype=float32, or export with --format lora.",
            )
        card = _card(run, plan.config.model.name or "", str(dtype), comparison, kind)
        write_text(folder / "README.md", card)
    task, has_head = plan.data.task.name, form.name == "classification"
    return MergeReport(str(output), comparison, task, has_head, kind)


def _check_dequantize(kind: str | None, asked: bool) -> None:
    """Refuse to merge into quantised weights, and to dequantise others.

    Raises:
        ConfigError: With what to do instead.
    """
    if kind is not None and not asked:
        raise ConfigError(
            f"The base model of this run is quantised ({kind}): its weights cannot take up the update "
            "without being rounded anew, which would change the adapter's effect.",
            hint="Add --dequantize: the update is added to the numbers that the quantised weights stand for, "
            "and the model written is not quantised.",
        )
    if kind is None and asked:
        raise ConfigError(
            "--dequantize is for runs on a quantised base, and the base model of this run is not quantised.",
            hint="Merge without --dequantize.",
        )


def _card(run: RunFolder, base: str, dtype: str, comparison: Comparison, kind: str | None) -> str:
    origin = ""
    if kind is not None:
        origin = f"""
The adapter was trained on the base model quantised to {kind}. The weights here are the numbers that the
quantised ones stand for, with the update; they are not those of the original base model, and the difference
below is to this dequantised base with the adapter.
"""
    return f"""\
---
base_model: {public_name(base)}
library_name: transformers
---

# {public_name(base)} with a merged LoRETTA adapter

Made by `loretta merge` from the run `{run.path.name}`. A plain transformers model that
needs no adapter library.
{origin}
The weights are {dtype.removeprefix("torch.")}. On {counted(comparison.rows, "validation row")} the largest
difference of a logit to base and adapter is {comparison.max_abs_difference:.3g}
(accepted: {comparison.tolerance:.3g}).
"""
