"""The merged model as a GGUF file for llama.cpp and Ollama, where the base model came as one.

Metadata and vocabulary are those of the base file. For other bases see :mod:`.gguf_converter`.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loretta_cli.artifacts.base_location import check_base_is_there
from loretta_cli.artifacts.comparison import VERIFIED_ROWS
from loretta_cli.artifacts.engines import llama_cpp
from loretta_cli.artifacts.engines.agreement import (
    NOISE,
    TOLERANCE,
    Agreement,
    Reference,
    agreement,
    reference,
)
from loretta_cli.artifacts.export import ExportRequest
from loretta_cli.artifacts.export.card import write_export_card
from loretta_cli.artifacts.export.gguf_converter import (
    MODEL,
    SERVING,
    check_causal,
    check_no_head,
    export_for_converter,
    write_modelfile,
)
from loretta_cli.artifacts.export.gguf_model import values_by_tensor, write_model
from loretta_cli.artifacts.export.report import EngineCheck, ExportReport
from loretta_cli.artifacts.files import check_new_folder, new_folder
from loretta_cli.artifacts.merge import merged_in_memory
from loretta_cli.artifacts.merging.refusals import check_mergeable
from loretta_cli.artifacts.restore import Restored, load_adapter
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.config import Config
from loretta_cli.errors import ExportError
from loretta_cli.models.gguf_files import read_header
from loretta_cli.models.gguf_names import gguf_architecture, gguf_package
from loretta_cli.models.source import find_model
from loretta_cli.numerals import counted
from loretta_cli.planning.plan import Plan, make_plan, split_rows
from loretta_cli.report import Reporter

DEFAULT_TYPE = "f16"
TOLERANCES = {"f32": TOLERANCE, "f16": TOLERANCE, "q8_0": 0.5}
"""Of a log-probability. With q8_0, llama.cpp rounds what goes into a matrix to 8 bits as well: on a decoder
of 135 million numbers that made 0.2 to 0.3, where leaving the adapter out made 1.1 and more.
"""


@dataclass(frozen=True, slots=True)
class _Written:
    """What there is to say of a written file.

    Args:
        number_type: Of its matrices.
        base_type: Of most numbers of the base file.
        agreed: What llama.cpp said; None if it is not installed.
    """

    number_type: str
    base_type: str
    agreed: Agreement | None


def export_gguf(request: ExportRequest, reporter: Reporter) -> ExportReport:
    """Write a run's merged model as ``model.gguf`` and a ``Modelfile``, and compare it in llama.cpp.

    Of a base model that is no GGUF file, write the merged folder and the converter's command instead.

    Raises:
        ConfigError: If the method cannot merge, or llama.cpp has no such model.
        ExportError: If llama.cpp says other than base and adapter do; nothing is left behind.
    """
    run, output = request.run, request.output
    config = run.read_config()
    number_type = request.number_type or DEFAULT_TYPE
    check_mergeable(config.adapter.method)
    check_no_head(config)
    check_new_folder(output)
    check_base_is_there(run)
    if find_model(config.model.name or "").gguf_file is None:
        return export_for_converter(request, number_type, reporter)
    gguf_package()
    rows = split_rows(config, data=request.data, split="validation", rows=VERIFIED_ROWS)
    plan = make_plan(_in_float32(config), rows)
    check_causal(plan)
    architecture = gguf_architecture(plan.model_config.model_type).name
    base = Path(plan.source.location)
    restored = Restored(plan, load_adapter(plan, run, note=reporter.note))
    found = _reference(restored, reporter) if llama_cpp.is_installed() else None
    merged: Any = merged_in_memory(restored)
    with new_folder(output) as folder:
        reporter.note(f"writing {MODEL} of type {number_type}")
        values = values_by_tensor(merged.state_dict(), merged.config, base)
        write_model(folder / MODEL, base, values, merged.config, number_type)
        del merged, restored, values
        gc.collect()  # PEFT's model holds itself; without this it stays while llama.cpp has the file
        agreed = None
        if found is not None:
            reporter.note(f"loading it in {llama_cpp.engine_name()} and comparing")
            agreed = _ask_llama_cpp(found, folder / MODEL, number_type)
        missing = None if agreed else f"it is not installed: {llama_cpp.INSTALL}"
        check = EngineCheck(llama_cpp.engine_name(), agreed.comparison if agreed else None, missing)
        template = write_modelfile(plan, folder)
        written = _Written(number_type, read_header(base).kind.lower(), agreed)
        _write_card(folder, run, plan, check, written)
    details = {
        "type": number_type,
        "base_type": written.base_type,
        "architecture": architecture,
        "template": template,
        "continuations": agreed.prompts if agreed else None,
        "same_continuations": agreed.same if agreed else None,
        "near_ties": agreed.ties if agreed else None,
        "merged_difference": None,
        "converter": None,
    }
    return ExportReport(str(output), "gguf", check, details)


def _in_float32(config: Config) -> Config:
    """The config with a base in fp32: updates are added to the numbers of the file, and cast once."""
    return config.model_copy(update={"model": config.model.model_copy(update={"dtype": "float32"})})


def _reference(restored: Restored, reporter: Reporter) -> Reference:
    plan = restored.plan
    rows = plan.form.encode(plan.data.validation).rows[:VERIFIED_ROWS]
    reporter.note(f"computing {counted(len(rows), 'row')} with base and adapter")
    return reference(restored.model, rows)


def _ask_llama_cpp(found: Reference, file: Path, number_type: str) -> Agreement:
    """Compare with what transformers computed in fp32. How texts continue is not judged for q8_0.

    Raises:
        ExportError: If llama.cpp says something else.
    """
    tolerance = TOLERANCES[number_type]
    agreed = agreement(found, file, tolerance=tolerance, noise=NOISE.get(number_type, tolerance))
    if not (agreed.comparison.passed if number_type == "q8_0" else agreed.passed):
        smaller = number_type != "f32"
        raise ExportError(
            f"llama.cpp differs from base and adapter by {agreed.comparison.max_abs_difference:.3g} in a "
            f"log-probability ({agreed.comparison.tolerance:.3g} is accepted), and continues {agreed.same} "
            f"of {counted(agreed.prompts, 'prompt')} alike; nothing was written.",
            hint="Export with --type f32, which rounds nothing." if smaller else "Use loretta merge.",
        )
    return agreed


def _write_card(folder: Path, run: RunFolder, plan: Plan, check: EngineCheck, written: _Written) -> None:
    config = plan.config
    text = (
        f"`{MODEL}` is the base model with the adapter folded in, of type {written.number_type}. Metadata "
        "and\nvocabulary are those of the base model's GGUF file."
    )
    if written.base_type not in TOLERANCES or written.base_type == "q8_0":
        text += (
            f"\n\nThe base model's file is of type {written.base_type}. The adapter was trained on the "
            "numbers that it stands for, and\nthose are the numbers here, with the update. To quantise them "
            f"again: `llama-quantize {MODEL} smaller.gguf {written.base_type.upper()}`."
        )
    agreed = written.agreed
    if agreed is not None:
        text += (
            f"\n\nOf {counted(agreed.prompts, 'prompt')}, {agreed.same} are continued greedily with the same "
            "tokens as in\ntransformers."
        )
        if agreed.ties:
            text += (
                f" {agreed.ties} more part where its two best tokens are less than "
                f"{agreed.comparison.tolerance:.3g} of log-probability apart."
            )
    write_export_card(
        folder,
        run,
        base=config.model.name or "",
        library="gguf",
        title=f"Merged model for llama.cpp, exported from a {config.adapter.method} adapter",
        made_by=f"loretta export --format gguf --type {written.number_type}",
        text=text,
        check=check,
        serving=SERVING,
    )
