"""The end of every merge: the logits before and after, the verdict on the difference, and the card."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path

import torch

from loretta_cli.artifacts.comparison import compare, row_logits
from loretta_cli.artifacts.merging.card import write_merge_card
from loretta_cli.artifacts.merging.companions import take_base_papers
from loretta_cli.artifacts.merging.loss import LostShare
from loretta_cli.artifacts.merging.report import MergeReport
from loretta_cli.artifacts.merging.request import MergeRequest
from loretta_cli.artifacts.merging.verifying import Verification
from loretta_cli.artifacts.restore import load_adapter
from loretta_cli.errors import ExportError
from loretta_cli.models.forms import auto_class
from loretta_cli.models.loading import to_device
from loretta_cli.numerals import counted
from loretta_cli.planning.plan import Plan
from loretta_cli.report import Reporter

MUCH_LOST = 0.1
"""Of the updates' norms on average; a cast that loses more is warned of."""


def logits_before(request: MergeRequest, plan: Plan, reporter: Reporter) -> list[torch.Tensor]:
    """The logits of the plan's validation rows with base and adapter, which are then let go."""
    rows = plan.form.encode(plan.data.validation).rows
    reporter.note(f"computing the logits of {counted(len(rows), 'row')} with base and adapter")
    logits = row_logits(load_adapter(plan, request.run), rows)
    gc.collect()  # PEFT's model holds itself; without this it stays while the merged one is loaded
    return logits


def compare_logits(
    plan: Plan,
    folder: Path,
    before: Sequence[torch.Tensor],
    computed_in: torch.dtype,
    judged_as: torch.dtype,
    reporter: Reporter,
) -> Verification:
    """Load the merged model with plain transformers and hold its logits against those of base and adapter.

    Args:
        plan: Of the run; its validation rows are read.
        folder: Of the merged model.
        before: Logits of base and adapter.
        computed_in: Number type to load the merged model in.
        judged_as: Number type that sets the tolerance.
        reporter: Is told.
    """
    reporter.note("loading the merged model with plain transformers and comparing")
    auto = auto_class(plan.form.name, plan.model_config)
    again = auto.from_pretrained(folder, dtype=computed_in, local_files_only=True)
    rows = plan.form.encode(plan.data.validation).rows
    return Verification("logits", compare(before, row_logits(to_device(again), rows), judged_as))


def finish(
    request: MergeRequest,
    plan: Plan,
    folder: Path,
    found: Verification,
    dtype: torch.dtype,
    lost: LostShare,
    reporter: Reporter,
    *,
    streamed: bool,
    base: str = "base",
) -> MergeReport:
    """Judge a merged model, and give it its card.

    Args:
        request: What was asked.
        plan: Of the run.
        folder: With weights, config and tokenizer.
        found: How it compares.
        dtype: Of the weights written.
        lost: By the cast.
        reporter: Is warned where that is much.
        streamed: Whether it was merged shard by shard.
        base: What it was compared with, for the message.

    Raises:
        ExportError: If it differs by more than the tolerance.
    """
    check_difference(found, dtype, base, may_choose=streamed)
    report = MergeReport(
        str(request.output),
        found,
        plan.data.task.name,
        plan.form.name == "classification",
        str(dtype).removeprefix("torch."),
        streamed,
        plan.config.model.quantization,
        lost,
    )
    licence = take_base_papers(plan, folder)
    write_merge_card(folder, request.run, plan.config.model.name or "", licence, report)
    share = lost.as_json()
    if share is not None and share["mean"] > MUCH_LOST:
        reporter.warn(
            f"the cast to {report.dtype} loses {share['mean']:.0%} of the update: --dtype float32 loses "
            "nothing, nor does the adapter beside its base model"
        )
    return report


def check_difference(found: Verification, dtype: torch.dtype, base: str, *, may_choose: bool = False) -> None:
    """Refuse a merged model that differs by more than is accepted.

    Args:
        found: How it compares.
        dtype: Of its weights.
        base: What it was compared with, for the message.
        may_choose: Whether it may be compared layer by layer.

    Raises:
        ExportError: With the difference.
    """
    if found.comparison.passed:
        return
    difference, tolerance = found.comparison.max_abs_difference, found.comparison.tolerance
    where = "a logit" if found.kind == "logits" else "the output of a layer"
    hint = "Export with --format lora, which changes no weight of the base model."
    if dtype != torch.float32:
        hint = "Merge with --dtype float32, or export with --format lora."
    elif found.kind == "logits" and may_choose:
        hint = "See with --verify layers whether a layer is wrong or the model amplifies rounding. " + hint
    raise ExportError(
        f"The merged model differs from {base} and adapter by {difference:.3g} in {where}, more than the "
        f"{tolerance:.3g} accepted for {str(dtype).removeprefix('torch.')}; nothing was written.",
        hint=hint,
    )
