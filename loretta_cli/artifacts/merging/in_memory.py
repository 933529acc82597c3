"""Merging with the whole model in memory: what cannot be streamed, such as quantised bases and ``full``."""

from __future__ import annotations

import contextlib
import gc
from typing import Any

import torch
from torch import nn

from loretta_cli.artifacts.comparison import compare, row_logits
from loretta_cli.artifacts.files import new_folder
from loretta_cli.artifacts.merging import NotStreamable
from loretta_cli.artifacts.merging.companions import write_tokenizer
from loretta_cli.artifacts.merging.finishing import check_difference, compare_logits, finish
from loretta_cli.artifacts.merging.loss import LostShare, add
from loretta_cli.artifacts.merging.report import MergeReport
from loretta_cli.artifacts.merging.request import MergeRequest, asked_dtype, run_dtype
from loretta_cli.artifacts.merging.updates import updates_of
from loretta_cli.artifacts.merging.verifying import Verification, coarser
from loretta_cli.artifacts.restore import Restored, load_adapter
from loretta_cli.errors import ExportError
from loretta_cli.numerals import counted
from loretta_cli.planning.plan import Plan
from loretta_cli.report import Reporter
from loretta_cli.tuners.merging import merge_into_base


def merged_in_memory(restored: Restored) -> nn.Module:
    """The plain transformers model of a run, with the adapter folded in; ``restored`` is used up.

    Raises:
        ExportError: If the result has numbers that are not finite.
    """
    try:
        return merge_into_base(restored.model)
    except ValueError as error:
        raise ExportError(
            f"The adapter cannot be merged: {' '.join(str(error).split())}; nothing was written.",
            hint="Its file may be damaged, or the training may have diverged.",
        ) from error


def merge_in_memory(request: MergeRequest, plan: Plan, reporter: Reporter) -> MergeReport:
    """Write the merged model of a run of any method that merges, and compare its logits.

    Raises:
        ExportError: If it differs by more than the tolerance; nothing is left behind.
        RunError: If the adapter cannot be loaded.
        ModelError: If the base model cannot be.
    """
    kind, loaded = plan.config.model.quantization, run_dtype(plan)
    base = f"base (dequantised from {kind})" if kind else "base"
    restored = Restored(plan, load_adapter(plan, request.run, plain=request.dequantize))
    rows = plan.form.encode(plan.data.validation).rows
    reporter.note(f"computing the logits of {counted(len(rows), 'row')} with {base} and adapter")
    before = row_logits(restored.model, rows)
    dtype = asked_dtype(request, plan)
    if dtype is None and kind is None:
        stored = getattr(plan.model_config, "dtype", None)
        dtype = stored if isinstance(stored, torch.dtype) else None
    lost = _lost(restored.model.get_base_model(), dtype or loaded)
    merged: Any = merged_in_memory(restored)
    if dtype not in (None, merged.dtype):
        # Before the cast, whose rounding could hide that a small update is missing.
        unrounded = Verification("logits", compare(before, row_logits(merged, rows), coarser(loaded, loaded)))
        check_difference(unrounded, loaded, base)
        merged = merged.to(dtype)
    with new_folder(request.output) as folder:
        merged.save_pretrained(folder)
        write_tokenizer(plan, folder)
        written: torch.dtype = merged.dtype
        del merged, restored
        gc.collect()  # PEFT's model holds itself; without this it stays while the merged one is loaded
        found = compare_logits(plan, folder, before, loaded, coarser(written, loaded), reporter)
        return finish(request, plan, folder, found, written, lost, reporter, streamed=False, base=base)


def _lost(model: nn.Module, dtype: torch.dtype) -> LostShare:
    """What a cast loses of the updates of an adapter in memory; of some methods that is not known."""
    lost = LostShare()
    with contextlib.suppress(NotStreamable):
        for update in updates_of(model).values():
            add(getattr(update.module.get_base_layer(), update.part).detach(), update, dtype, lost)
    return lost
