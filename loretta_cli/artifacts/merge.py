"""``loretta merge``: the updates of a run folded into the base weights, written, reloaded and compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from loretta_cli.artifacts.card import public_name
from loretta_cli.artifacts.comparison import VERIFIED_ROWS, Comparison, compare, row_logits
from loretta_cli.artifacts.files import check_new_folder, new_folder, write_text
from loretta_cli.artifacts.restore import restore
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.errors import ConfigError, ExportError
from loretta_cli.models.loading import to_device
from loretta_cli.report import Reporter
from loretta_cli.tuners.adp.layer import MERGE_REFUSAL


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What a merge has to say."""

    output: str
    comparison: Comparison

    def as_json(self) -> dict[str, Any]:
        """The fields of the contract, and the tolerance."""
        return {
            "output": self.output,
            "max_abs_logit_difference": self.comparison.max_abs_difference,
            "tolerance": self.comparison.tolerance,
            "rows": self.comparison.rows,
            "verified": self.comparison.passed,
        }


def merge(run: RunFolder, output: Path, reporter: Reporter, *, data: str | None = None) -> MergeReport:
    """Write a plain transformers model with the adapter folded in.

    The sum is taken in fp32 and cast once. The written folder is loaded again with plain transformers and
    its logits are compared with those of base and adapter on rows of the run's validation split.

    Args:
        run: A finished run.
        output: The folder to write.
        reporter: Hears of progress.
        data: Rows to compare on, if the run's own are not at hand.

    Raises:
        ConfigError: If the method cannot merge.
        ExportError: If the merged model differs by more than the tolerance; nothing is left behind.
    """
    method = run.read_config().adapter.method
    if method == "adp":
        raise ConfigError(
            MERGE_REFUSAL,
            hint="Serve the base model with the adapter, or train with --method rep, which merges.",
        )
    check_new_folder(output)
    restored = restore(run, data=data, rows=VERIFIED_ROWS)
    form, plan = restored.plan.form, restored.plan
    rows = form.encode(plan.data.task, plan.data.validation).rows
    reporter.note(f"computing the logits of {len(rows)} rows with base and adapter")
    before = row_logits(restored.model, form, rows)
    merged = restored.model.merge_and_unload(safe_merge=True)
    dtype = next(parameter.dtype for parameter in merged.parameters())
    auto = AutoModelForSequenceClassification if form.name == "classification" else AutoModelForCausalLM
    with new_folder(output) as folder:
        merged.save_pretrained(folder)
        form.tokenizer.save_pretrained(folder)
        del merged, restored
        reporter.note("loading the merged model with plain transformers and comparing")
        again = auto.from_pretrained(folder, dtype=dtype, local_files_only=True)
        comparison = compare(before, row_logits(to_device(again), form, rows), dtype)
        if not comparison.passed:
            raise ExportError(
                f"The merged model differs from base and adapter by {comparison.max_abs_difference:.3g} in a "
                f"logit, more than the {comparison.tolerance:.3g} accepted for {dtype}; nothing was written.",
                hint="Train and merge with model.dtype=float32, or export with --format lora.",
            )
        write_text(folder / "README.md", _card(run, plan.config.model.name or "", str(dtype), comparison))
    return MergeReport(str(output), comparison)


def _card(run: RunFolder, base: str, dtype: str, comparison: Comparison) -> str:
    return f"""\
---
base_model: {public_name(base)}
library_name: transformers
---

# {public_name(base)} with a merged LoRETTA adapter

Made by `loretta merge` from the run `{run.path.name}`. A plain transformers model that
needs no adapter library.

The weights are {dtype.removeprefix("torch.")}; rep's updates are added in fp32 and cast once. On
{comparison.rows} validation rows the largest difference of a logit to base and adapter is
{comparison.max_abs_difference:.3g} (accepted: {comparison.tolerance:.3g}).
"""
