"""The whole model of a run, base and adapter, as an ONNX graph, checked in onnxruntime.

What is linear is folded into the base weights, so the graph is that of the base model. The tensor trains of
adp become the two thin matrices that they are: at inference they are constants, and two products each are a
smaller graph than the contraction of cores, which would be made anew for every batch.
"""

from __future__ import annotations

import gc
from pathlib import Path
from typing import cast

import torch
from peft import PeftModel
from torch import nn

from loretta_cli.artifacts.base_location import check_base_is_there
from loretta_cli.artifacts.comparison import VERIFIED_ROWS
from loretta_cli.artifacts.engines import onnx_runtime
from loretta_cli.artifacts.export import ExportRequest
from loretta_cli.artifacts.export.onnx_card import write_onnx_card
from loretta_cli.artifacts.export.onnx_check import (
    LONGEST,
    OnnxAgreement,
    Reference,
    agreement,
    around_gap,
    batches,
    input_names,
    reference,
)
from loretta_cli.artifacts.export.onnx_graph import MODEL, check_packages, write_graph
from loretta_cli.artifacts.export.report import EngineCheck, ExportReport
from loretta_cli.artifacts.files import check_new_folder, new_folder
from loretta_cli.artifacts.merging.companions import write_config, write_tokenizer
from loretta_cli.artifacts.merging.refusals import merges
from loretta_cli.artifacts.restore import load_adapter
from loretta_cli.errors import ConfigError, ExportError
from loretta_cli.models.forms import is_encoder_decoder
from loretta_cli.numerals import counted
from loretta_cli.planning.plan import Plan, make_plan, split_rows
from loretta_cli.report import Reporter
from loretta_cli.tuners.head import make_heads_dense
from loretta_cli.tuners.merging import merge_into_base

VIRTUAL_TOKENS = ("p-tuning", "prefix", "prompt")


def export_onnx(request: ExportRequest, reporter: Reporter) -> ExportReport:
    """Write base and adapter as one ONNX model, and compare it in onnxruntime.

    On a quantised base the numbers are those that its weights stand for, as floating-point weights.

    Raises:
        ConfigError: If the method or the model has no such graph, or a package is missing.
        ExportError: If torch cannot translate the model, or onnxruntime says other than base and adapter do;
            nothing is left behind.
    """
    run, output = request.run, request.output
    config = run.read_config()
    _check_method(config.adapter.method)
    check_packages()
    check_new_folder(output)
    check_base_is_there(run)
    rows = split_rows(config, data=request.data, split="validation", rows=VERIFIED_ROWS)
    plan = make_plan(config, rows)
    _check_model(plan)
    model = load_adapter(plan, run, plain=True, note=reporter.note).to("cpu").float()
    encoded = list(plan.form.encode(plan.data.validation).rows[:VERIFIED_ROWS])
    gap = plan.form.tokenizer.mask_token_id if plan.form.name == "masked" else None
    if gap is not None:
        encoded = around_gap(encoded, gap)
    longest = None if plan.form.name == "classification" else LONGEST
    asked = batches(encoded, cast("int", plan.form.tokenizer.pad_token_id), longest)
    reporter.note(f"computing the logits of {counted(len(encoded), 'row')} with base and adapter")
    found = reference(model, asked, gap)
    served = serving_form(model, config.adapter.method)
    del model
    with new_folder(output) as folder:
        reporter.note("translating the model with torch.onnx")
        graph = write_graph(served, input_names(encoded), folder)
        write_config(plan, served, torch.float32, folder)
        write_tokenizer(plan, folder)
        del served
        gc.collect()  # PEFT's model holds itself; without this it stays while onnxruntime has the graph
        agreed, missing = None, None
        if onnx_runtime.is_installed():
            reporter.note(f"loading the graph in {onnx_runtime.engine_name()} and comparing")
            agreed = _ask_onnxruntime(found, folder)
        else:
            missing = f"it is not installed: {onnx_runtime.INSTALL}"
        check = EngineCheck(onnx_runtime.engine_name(), agreed.comparison if agreed else None, missing)
        write_onnx_card(folder, run, plan, graph, check, agreed)
    details = {
        "files": list(graph.files),
        "inputs": input_names(encoded),
        "opset": graph.opset,
        "nodes": graph.nodes,
        "quantization": plan.config.model.quantization,
        "predictions": (agreed.predictions or None) if agreed else None,
        "same_predictions": agreed.same if agreed and agreed.predictions else None,
    }
    return ExportReport(str(output), "onnx", check, details)


def serving_form(model: PeftModel, method: str) -> nn.Module:
    """The model with nothing left in it but what is needed at inference; ``model`` is used up.

    Args:
        model: Base and adapter.
        method: Of the adapter.

    Raises:
        ExportError: If the folded weights have numbers that are not finite.
    """
    if merges(method):
        try:
            return merge_into_base(model).eval()
        except ValueError as error:
            raise ExportError(
                f"The adapter cannot be folded: {' '.join(str(error).split())}; nothing was written.",
                hint="Its file may be damaged, or the training may have diverged.",
            ) from error
    base: nn.Module = model.get_base_model()
    make_heads_dense(base)
    return base.eval()


def _check_method(method: str) -> None:
    if method in VIRTUAL_TOKENS:
        raise ConfigError(
            f"A run with virtual tokens ({method}) does not export as ONNX: PEFT puts them before the text, "
            "outside the model.",
            hint="Train with adp, rep or any method but " + ", ".join(VIRTUAL_TOKENS) + ".",
        )


def _check_model(plan: Plan) -> None:
    if is_encoder_decoder(plan.model_config):
        raise ConfigError(
            f"An encoder-decoder ({plan.model_config.model_type}) does not export as ONNX: it would be two "
            "graphs, of which one reads what the other has written.",
            hint="Use an encoder or a causal language model; rep merges with loretta merge.",
        )


def _ask_onnxruntime(found: Reference, folder: Path) -> OnnxAgreement:
    agreed = agreement(found, folder / MODEL)
    comparison = agreed.comparison
    if not comparison.passed:
        raise ExportError(
            f"onnxruntime differs from base and adapter by {comparison.max_abs_difference:.3g} in a logit, "
            f"more than the {comparison.tolerance:.3g} accepted; nothing was written.",
            hint="Another version of onnxruntime or torch may compute it as torch does.",
        )
    return agreed
