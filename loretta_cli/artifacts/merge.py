"""``loretta merge``: the updates of a run folded into the base weights, written, read again and compared.

Shard by shard where the method changes single tensors of safetensors files, else in memory; the steps of both
are in :mod:`.merging`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from loretta_cli.artifacts.base_location import check_base_is_there
from loretta_cli.artifacts.comparison import VERIFIED_ROWS
from loretta_cli.artifacts.files import check_new_folder, new_folder
from loretta_cli.artifacts.fingerprint import check_adapter
from loretta_cli.artifacts.identity import check_base
from loretta_cli.artifacts.merging import NotStreamable
from loretta_cli.artifacts.merging.checkpoint import Checkpoint, find_checkpoint
from loretta_cli.artifacts.merging.companions import write_config, write_tokenizer
from loretta_cli.artifacts.merging.finishing import compare_logits, finish, logits_before
from loretta_cli.artifacts.merging.in_memory import merge_in_memory, merged_in_memory
from loretta_cli.artifacts.merging.layout import Entry, merged_files
from loretta_cli.artifacts.merging.refusals import check_mergeable
from loretta_cli.artifacts.merging.report import MergeReport
from loretta_cli.artifacts.merging.request import MergeRequest, asked_dtype, check_dequantize, run_dtype
from loretta_cli.artifacts.merging.streaming import write_merged
from loretta_cli.artifacts.merging.updates import Adapted, check_streamable, read_adapter
from loretta_cli.artifacts.merging.verifying import coarser, fits_in_memory, verify_layers
from loretta_cli.errors import ConfigError
from loretta_cli.numerals import counted
from loretta_cli.planning.plan import Plan, make_plan, split_rows
from loretta_cli.report import Reporter


@dataclass(frozen=True, slots=True)
class _Stream:
    """Everything that a merge shard by shard needs to know before it writes."""

    base: Checkpoint
    adapted: Adapted
    files: list[list[Entry]]


def merge(request: MergeRequest, reporter: Reporter) -> MergeReport:
    """Write a plain transformers model with the adapter folded in, and compare it with base and adapter.

    Raises:
        ConfigError: If the method cannot merge, or an option does not fit the run.
        ExportError: If the merged model differs by more than the tolerance; nothing is left behind.
        LorettaError: If the base model, the adapter or the data cannot be read.
    """
    config = request.run.read_config()
    check_mergeable(config.adapter.method)
    check_dequantize(config.model.quantization, asked=request.dequantize)
    check_new_folder(request.output)
    check_base_is_there(request.run)
    check_adapter(request.run)
    rows = split_rows(config, data=request.data, split="validation", rows=VERIFIED_ROWS)
    plan = make_plan(config, rows)
    if plan.source.is_local:
        check_base(plan, request.run, note=reporter.note)
    try:
        stream = _stream(request, plan, reporter)
    except NotStreamable as obstacle:
        if request.verify == "layers":
            raise ConfigError(
                f"The run cannot be merged shard by shard, because {obstacle.reason}; merged in memory it is "
                "compared by logits only.",
                hint="Leave --verify out.",
            ) from None
        reporter.note(f"merging in memory, because {obstacle.reason}")
        return merge_in_memory(request, plan, reporter)
    return _merge_streamed(request, plan, stream, reporter)


def _stream(request: MergeRequest, plan: Plan, reporter: Reporter) -> _Stream:
    check_streamable(plan)
    adapted = read_adapter(plan, request.run)
    base = find_checkpoint(plan.source, plan.config.model.revision)
    if not plan.source.is_local:
        check_base(plan, request.run, note=reporter.note)
    return _Stream(base, adapted, merged_files(base, adapted, asked_dtype(request, plan)))


def _merge_streamed(request: MergeRequest, plan: Plan, stream: _Stream, reporter: Reporter) -> MergeReport:
    base, adapted = stream.base, stream.adapted
    dtype, loaded = asked_dtype(request, plan) or base.dtype, run_dtype(plan)
    judged = coarser(dtype, loaded)
    kind = request.verify or ("logits" if fits_in_memory(base.parameters, loaded) else "layers")
    before = logits_before(request, plan, reporter) if kind == "logits" else []
    with new_folder(request.output) as folder:
        files = counted(len(stream.files), "file")
        reporter.note(f"merging {counted(len(adapted.updates), 'tensor')} into {files}, one after the other")
        written = write_merged(base, adapted, stream.files, folder)
        write_config(plan, adapted.model, dtype, folder)
        write_tokenizer(plan, folder)
        merged = Checkpoint(tuple(written.files), "the merged model")
        if kind == "logits":
            found = compare_logits(plan, folder, before, loaded, judged, reporter)
        if kind == "layers" or judged != torch.float32:
            # Rounding to half precision could hide from the logits whether a small update is there.
            reporter.note("reading each merged layer again and comparing it with base and adapter")
            layers = verify_layers(base, merged, adapted, stream.files)
            found = layers if kind == "layers" or not layers.comparison.passed else found
        return finish(request, plan, folder, found, dtype, written.lost, reporter, streamed=True)


__all__ = ["MergeRequest", "merge", "merged_in_memory"]
