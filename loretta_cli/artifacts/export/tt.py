"""adp and rep as bare tensor-train cores, with modes, ranks and scales: for those who compute with cores."""

from __future__ import annotations

import gc
import importlib.metadata
from collections.abc import Mapping
from typing import Any

from loretta_cli.artifacts.card_facts import public_name
from loretta_cli.artifacts.comparison import VERIFIED_ROWS, adapter_effect, row_logits
from loretta_cli.artifacts.export import ExportRequest
from loretta_cli.artifacts.export.card import write_export_card
from loretta_cli.artifacts.export.cores import DESCRIPTION, TENSORS, put_cores, trains_of, write_cores
from loretta_cli.artifacts.export.on_base import compare_on_base
from loretta_cli.artifacts.export.report import EngineCheck, ExportReport
from loretta_cli.artifacts.files import check_new_folder, new_folder
from loretta_cli.artifacts.restore import restore
from loretta_cli.errors import ConfigError
from loretta_cli.numerals import counted
from loretta_cli.report import Reporter


def export_cores(request: ExportRequest, reporter: Reporter) -> ExportReport:
    """Write the cores of a run, run the base model with the matrices TensorLy makes of them, compare.

    Raises:
        ConfigError: If the run has no tensor trains.
        ExportError: If the rebuilt layers differ by more than the tolerance; nothing is left behind.
    """
    run, output = request.run, request.output
    method = run.read_config().adapter.method
    _check_method(method)
    check_new_folder(output)
    restored = restore(run, data=request.data, rows=VERIFIED_ROWS, plain=True, note=reporter.note)
    plan = restored.plan
    rows = plan.form.encode(plan.data.validation).rows
    reporter.note(f"computing the logits of {counted(len(rows), 'row')} with the {method} adapter")
    before = row_logits(restored.model, rows)
    effect = adapter_effect(restored.model, rows, before)
    base = public_name(plan.config.model.name or "")
    with new_folder(output) as folder:
        description = write_cores(restored.model, folder, base=base)
        del restored
        gc.collect()  # PEFT's model holds itself; without this it stays while the base is loaded again
        reporter.note("rebuilding the matrices with TensorLy from the files and comparing")
        comparison = compare_on_base(
            plan, rows, before, lambda model: put_cores(model, folder), effect=effect
        )
        check = EngineCheck(f"TensorLy {importlib.metadata.version('tensorly')}", comparison)
        write_export_card(
            folder,
            run,
            base=plan.config.model.name or "",
            library="safetensors",
            title=f"Tensor-train cores of a LoRETTA_{method} adapter",
            made_by="loretta export --format tt",
            text=_text(description, plan.config.model.quantization),
            check=check,
        )
    trains = list(trains_of(description))
    details = {
        "layers": len(description["layers"]),
        "trains": len(trains),
        "cores": sum(len(train["cores"]) for train in trains),
        "heads": list(description["heads"]) or None,
        "replaced": list(description["replaced"]) or None,
        "quantization": plan.config.model.quantization,
    }
    return ExportReport(str(output), "tt", check, details)


def _check_method(method: str) -> None:
    if method in ("adp", "rep"):
        return
    instead = {
        "adapters": "Its bottlenecks are dense: use --format adapter.",
        "lora": "Make it one with loretta compress, and export that.",
    }
    raise ConfigError(
        f"Only adp and rep have tensor trains; this run is {method}.",
        hint=instead.get(method, "Train with --method adp or rep."),
    )


def _text(description: Mapping[str, Any], kind: str | None) -> str:
    activation, heads = description["activation"], description["heads"]
    text = (
        f"{counted(len(description['layers']), 'layer')} of the base model compute "
        f"`{description['formula']}`{f' with the activation {activation}' if activation else ''}.\n\n"
        f"`{DESCRIPTION}` has for each train its size `in` x `out`, its modes (the first `input_modes` of "
        "them multiply to `in`; null where a core carries both sides), its TT ranks and the names of its "
        f"cores in `{TENSORS}`, each (rank before, mode, rank behind) in float32. The matrix: "
        f"{description['matrix']}."
    )
    if heads:
        text += f"\n\nThe head has trains as well (`heads`): {', '.join(heads)}."
    if description["replaced"]:
        text += (
            "\n\nThe file also holds tensors that take the place of those of the same name in the base "
            f"model, the list `replaced`: {', '.join(description['replaced'])}."
        )
    if kind is not None:
        text += f"\n\nThe adapter was trained on the base model quantised to {kind}, and belongs on the same."
    return text
