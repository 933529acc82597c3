"""rep as a standard PEFT LoRA, exact and of the lowest rank (:func:`loretta_cli.tuners.lora_form`)."""

from __future__ import annotations

import gc
import shlex
from pathlib import Path

import peft
from peft import PeftModel
from safetensors.torch import save_file

from loretta_cli.artifacts.card_facts import public_name
from loretta_cli.artifacts.comparison import VERIFIED_ROWS, adapter_effect, compare, row_logits
from loretta_cli.artifacts.export import ExportRequest
from loretta_cli.artifacts.export.lora_card import LoraFacts, SavedWhole, write_lora_card
from loretta_cli.artifacts.export.report import EngineCheck, ExportReport
from loretta_cli.artifacts.files import check_new_folder, new_folder
from loretta_cli.artifacts.fingerprint import ADAPTER_WEIGHTS
from loretta_cli.artifacts.restore import restore
from loretta_cli.artifacts.tensor_header import read_header
from loretta_cli.errors import ConfigError, ExportError
from loretta_cli.models.forms import auto_class
from loretta_cli.models.loading import to_device
from loretta_cli.numerals import counted
from loretta_cli.planning.plan import Plan, load_base
from loretta_cli.report import Reporter
from loretta_cli.tuners import lora_form

VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as ``--max-lora-rank``."""


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
    restored = restore(run, data=request.data, rows=VERIFIED_ROWS, plain=True, note=reporter.note)
    plan, form = restored.plan, restored.plan.form
    rows = form.encode(plan.data.validation).rows
    kind = plan.config.model.quantization
    if kind is not None:
        reporter.note(f"the adapter was trained on a base quantised to {kind}: load the LoRA onto the same")
    reporter.note(f"computing the logits of {counted(len(rows), 'row')} with the rep adapter")
    before = row_logits(restored.model, rows)
    effect = adapter_effect(restored.model, rows, before)
    with new_folder(output) as folder:
        rank = write_lora(restored.model, folder)
        saved = _saved_whole(restored.model, folder)
        form.tokenizer.save_pretrained(folder)
        del restored
        gc.collect()  # PEFT's model holds itself; without this it stays while the base is loaded again
        reporter.note("loading the LoRA with plain PEFT and comparing")
        again = PeftModel.from_pretrained(load_base(plan, plain=True).model, folder)
        comparison = compare(before, row_logits(to_device(again), rows), again.dtype, effect=effect)
        if not comparison.passed:
            raise ExportError(
                f"The LoRA differs from the rep adapter by {comparison.max_abs_difference:.3g} in a logit, "
                f"more than the {comparison.tolerance:.3g} accepted; nothing was written.",
                hint="Use model.dtype=float32.",
            )
        check = EngineCheck(f"peft {peft.__version__}", comparison)
        facts = LoraFacts(
            rank,
            str(again.dtype),
            saved,
            _serves(plan),
            check,
            _serving(plan, rank, saved, output.name),
        )
        write_lora_card(folder, run, plan, facts)
    details = {
        "rank": rank,
        "quantization": kind,
        "saved_modules": list(saved.modules) or None,
        "saved_parameters": saved.parameters,
        "saved_bytes": saved.bytes,
    }
    return ExportReport(str(output), "lora", check, details)


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


def _saved_whole(model: PeftModel, folder: Path) -> SavedWhole:
    """The part of a written LoRA that engines which know only its matrices do not load."""
    tensors = read_header(folder / ADAPTER_WEIGHTS)
    whole = [
        tensor for name, tensor in tensors.items() if not name.endswith((".lora_A.weight", ".lora_B.weight"))
    ]
    names = tuple(lora_form(model, model.active_adapters[0])[0].modules_to_save or ()) if whole else ()
    return SavedWhole(names, sum(tensor.numbers for tensor in whole), sum(tensor.bytes for tensor in whole))


def _serves(plan: Plan) -> bool:
    """Whether vLLM serves LoRAs on such a model: on causal language models."""
    return "CausalLM" in auto_class(plan.form.name, plan.model_config).__name__


def _serving(plan: Plan, rank: int, saved: SavedWhole, name: str) -> list[tuple[str, str]]:
    """The commands that serve the LoRA, for the engines that load all of it and the base as it is."""
    model = plan.config.model
    changed = model.quantization is not None or plan.source.gguf_file is not None
    if saved.parameters or changed or not _serves(plan) or rank > VLLM_RANKS[-1]:
        return []
    most = next(allowed for allowed in VLLM_RANKS if allowed >= rank)
    base, folder = shlex.quote(public_name(model.name or "")), shlex.quote(name)
    revision = f" --revision {shlex.quote(model.revision)}" if model.revision else ""
    command = (
        f"vllm serve {base}{revision} --enable-lora --lora-modules {folder}=./{folder} --max-lora-rank {most}"
    )
    return [("vLLM (not run here), in the folder above this one", command)]
