"""rep as a standard PEFT LoRA, exact and of the lowest rank (:func:`loretta_cli.tuners.lora_form`)."""

from __future__ import annotations

from pathlib import Path

import peft
from peft import PeftModel
from safetensors.torch import save_file

from loretta_cli.artifacts.comparison import VERIFIED_ROWS, compare, row_logits
from loretta_cli.artifacts.export import ExportRequest
from loretta_cli.artifacts.export.card import write_export_card
from loretta_cli.artifacts.export.report import EngineCheck, ExportReport
from loretta_cli.artifacts.files import check_new_folder, new_folder
from loretta_cli.artifacts.restore import restore
from loretta_cli.errors import ConfigError, ExportError
from loretta_cli.models.loading import to_device
from loretta_cli.numerals import counted
from loretta_cli.planning.plan import load_base
from loretta_cli.report import Reporter
from loretta_cli.tuners import lora_form


def export_lora(request: ExportRequest, reporter: Reporter) -> ExportReport:
    """Write a run's rep adapter as a LoRA, load it with plain PEFT, and compare.

    On a quantised base the comparison is made with the numbers that its weights stand for: int8 layers round
    their inputs too, and a last bit there would drown the adapter's.

    Raises:
        ConfigError: If the run's method is not rep.
        ExportError: If the LoRA's logits differ by more than the tolerance; nothing is left behind.
    """
    run, output = request.run, request.output
    method = run.read_config().adapter.method
    if method != "rep":
        raise ConfigError(
            f"Only rep exports as LoRA; this run is {method}."
            + (" Its adapters are nonlinear, and LoRA is linear." if method == "adp" else ""),
            hint="Train with --method rep."
            if method == "adp"
            else "The adapter folder is a PEFT adapter already.",
        )
    check_new_folder(output)
    restored = restore(run, data=request.data, rows=VERIFIED_ROWS, plain=True)
    plan, form = restored.plan, restored.plan.form
    rows = form.encode(plan.data.validation).rows
    kind = plan.config.model.quantization
    if kind is not None:
        reporter.note(f"the adapter was trained on a base quantised to {kind}: load the LoRA onto the same")
    reporter.note(f"computing the logits of {counted(len(rows), 'row')} with the rep adapter")
    before = row_logits(restored.model, rows)
    with new_folder(output) as folder:
        rank = write_lora(restored.model, folder)
        form.tokenizer.save_pretrained(folder)
        del restored
        reporter.note("loading the LoRA with plain PEFT and comparing")
        again = PeftModel.from_pretrained(load_base(plan, plain=True).model, folder)
        comparison = compare(before, row_logits(to_device(again), rows), again.dtype)
        if not comparison.passed:
            raise ExportError(
                f"The LoRA differs from the rep adapter by {comparison.max_abs_difference:.3g} in a logit, "
                f"more than the {comparison.tolerance:.3g} accepted; nothing was written.",
                hint="Use model.dtype=float32.",
            )
        check = EngineCheck(f"peft {peft.__version__}", comparison)
        write_export_card(
            folder,
            run,
            base=plan.config.model.name or "",
            library="peft",
            title=f"LoRA of rank {rank}, exported from a LoRETTA_rep adapter",
            made_by="loretta export --format lora",
            text=_text(kind),
            check=check,
        )
    return ExportReport(str(output), "lora", check, {"rank": rank, "quantization": kind})


def write_lora(model: PeftModel, folder: Path) -> int:
    """Save the active rep adapter of ``model`` as a LoRA.

    Args:
        model: Base and rep adapter.
        folder: Where to save.

    Returns:
        The largest rank of a layer.
    """
    config, tensors = lora_form(model, model.active_adapters[0])
    config.inference_mode = True
    config.save_pretrained(str(folder))
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    return config.r


def _text(kind: str | None) -> str:
    said = "A standard PEFT LoRA that needs no loretta. The scale is folded in (`lora_alpha = r`)."
    if kind is not None:
        said += (
            f"\n\nThe adapter was trained on the base model quantised to {kind}, and belongs on the same. It "
            "was compared on the numbers that the quantised weights stand for."
        )
    return said
