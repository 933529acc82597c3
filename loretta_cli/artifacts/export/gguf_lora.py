"""rep or LoRA as a LoRA adapter of llama.cpp in GGUF, with an Ollama Modelfile."""

from __future__ import annotations

import gc
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

import torch

from loretta_cli.artifacts.base_location import check_base_is_there
from loretta_cli.artifacts.card_facts import public_name
from loretta_cli.artifacts.comparison import VERIFIED_ROWS
from loretta_cli.artifacts.engines import llama_cpp
from loretta_cli.artifacts.engines.agreement import NOISE, Agreement, Reference, agreement, reference
from loretta_cli.artifacts.export import ExportRequest
from loretta_cli.artifacts.export.base_gguf import (
    check_base,
    check_base_weights,
    is_quantised,
    write_unpacked,
)
from loretta_cli.artifacts.export.card import write_export_card
from loretta_cli.artifacts.export.gguf_lora_file import check_method, check_saved_modules, write_adapter
from loretta_cli.artifacts.export.low_rank import low_rank_updates
from loretta_cli.artifacts.export.modelfile import modelfile
from loretta_cli.artifacts.export.report import EngineCheck, ExportReport
from loretta_cli.artifacts.files import check_new_folder, new_folder, write_text
from loretta_cli.artifacts.restore import load_adapter
from loretta_cli.errors import ExportError
from loretta_cli.models.gguf_files import read_header
from loretta_cli.models.gguf_names import gguf_architecture, gguf_package, in_gguf_order, tensor_names
from loretta_cli.numerals import counted
from loretta_cli.planning.plan import Plan, make_plan, split_rows
from loretta_cli.report import Reporter

ADAPTER = "adapter.gguf"
BASE = "base.gguf"
UNPACKED = "unpacked.gguf"


@dataclass(frozen=True, slots=True)
class _Base:
    """The base model's file for llama.cpp.

    Args:
        file: Given by the user, or the one that the run was trained on; None if there is none.
        packed: Whether it has to be unpacked to be compared with.
    """

    file: Path | None = None
    packed: bool = False


def export_gguf_lora(request: ExportRequest, reporter: Reporter) -> ExportReport:
    """Write a run's update as ``adapter.gguf`` and a ``Modelfile``; compare in llama.cpp if there is a base.

    Raises:
        ConfigError: If the run has what the format cannot carry, or the base file does not fit.
        ModelError: If the base file cannot be read.
        ExportError: If llama.cpp says other than base and adapter do; nothing is left behind.
    """
    run, output = request.run, request.output
    config = run.read_config()
    check_method(config)
    check_saved_modules(run)
    gguf_package()
    if request.base_gguf is not None:
        read_header(request.base_gguf)
    check_new_folder(output)
    check_base_is_there(run)
    rows = split_rows(config, data=request.data, split="validation", rows=VERIFIED_ROWS)
    plan = make_plan(config, rows)
    architecture = gguf_architecture(plan.model_config.model_type).name
    base = _find_base(plan, request.base_gguf, architecture)
    model = load_adapter(plan, run, plain=True, note=reporter.note)
    updates = low_rank_updates(model)
    names = tensor_names(plan.model_config, list(updates))
    if base.file is not None:
        shapes = {names[layer]: (b.shape[0], a.shape[1]) for layer, (a, b) in updates.items()}
        check_base_weights(base.file.name, read_header(base.file), shapes)
    missing = _why_not_checked(plan, base)
    found = None
    if missing is None:
        encoded = plan.form.encode(plan.data.validation).rows[:VERIFIED_ROWS]
        reporter.note(f"computing {counted(len(encoded), 'row')} with base and adapter")
        found = reference(model.to(torch.float32), encoded)
    del model
    gc.collect()  # PEFT's model holds itself; without this it stays while llama.cpp has the base
    with new_folder(output) as folder:
        tensors = {
            names[layer]: (a, in_gguf_order(b, layer, plan.model_config)) for layer, (a, b) in updates.items()
        }
        rank = write_adapter(folder / ADAPTER, tensors, architecture)
        agreed = None
        if found is not None and base.file is not None:
            agreed = _ask_llama_cpp(found, base.file, folder, packed=base.packed, reporter=reporter)
        check = EngineCheck(llama_cpp.engine_name(), agreed.comparison if agreed else None, missing)
        template = _write_modelfile(folder, plan, base, output)
        serving = [
            ("llama.cpp", f"llama-server -m {shlex.quote(_name(base))} --lora {ADAPTER}"),
            ("Ollama", "ollama create my-model -f Modelfile\nollama run my-model"),
        ]
        write_export_card(
            folder,
            run,
            base=config.model.name or "",
            library="gguf",
            title=f"LoRA of rank {rank} for llama.cpp, exported from a {config.adapter.method} adapter",
            made_by="loretta export --format gguf-lora",
            text=_text(plan, base, agreed),
            check=check,
            serving=serving,
        )
    details = {
        "rank": rank,
        "architecture": architecture,
        "template": template,
        "continuations": agreed.prompts if agreed else None,
        "same_continuations": agreed.same if agreed else None,
        "near_ties": agreed.ties if agreed else None,
    }
    return ExportReport(str(output), "gguf-lora", check, details)


def _find_base(plan: Plan, given: Path | None, architecture: str) -> _Base:
    """The file that the user gave, which has to be unquantised, or that of the run.

    Raises:
        ConfigError: If the given file is another model, or quantised.
    """
    own = Path(plan.source.location) if plan.source.gguf_file is not None else None
    if given is not None and (own is None or not given.samefile(own)):
        check_base(given.name, read_header(given), architecture)
        return _Base(given)
    return _Base() if own is None else _Base(own, is_quantised(read_header(own)))


def _why_not_checked(plan: Plan, base: _Base) -> str | None:
    kind = plan.config.model.quantization
    if kind is not None:
        return f"the adapter was trained on a base quantised to {kind}, which no GGUF file has"
    if base.file is None:
        return "no base in GGUF form: give --base-gguf"
    if not llama_cpp.is_installed():
        return f"it is not installed: {llama_cpp.INSTALL}"
    return None


def _ask_llama_cpp(
    found: Reference, file: Path, folder: Path, *, packed: bool, reporter: Reporter
) -> Agreement:
    """Compare what transformers computed, in fp32.

    Raises:
        ExportError: If llama.cpp says something else.
    """
    kind = "f32" if packed else read_header(file).kind.lower()
    if packed:
        reporter.note("unpacking the base model into a temporary file of type f32")
        write_unpacked(folder / UNPACKED, file)
        file = folder / UNPACKED
    reporter.note(f"loading base and adapter in {llama_cpp.engine_name()} and comparing")
    agreed = agreement(found, file, adapters=[folder / ADAPTER], noise=NOISE[kind])
    (folder / UNPACKED).unlink(missing_ok=True)
    if not agreed.passed:
        raise ExportError(
            f"llama.cpp differs from base and adapter by {agreed.comparison.max_abs_difference:.3g} in a "
            f"log-probability ({agreed.comparison.tolerance:.3g} is accepted), and continues {agreed.same} "
            f"of {counted(agreed.prompts, 'prompt')} alike; nothing was written.",
            hint="Is --base-gguf the very model that the run was trained on, of type f32?",
        )
    return agreed


def _name(base: _Base) -> str:
    return BASE if base.file is None else base.file.name


def _write_modelfile(folder: Path, plan: Plan, base: _Base, output: Path) -> str:
    """Write the ``Modelfile``, which finds the base where it lies.

    Returns:
        What template it has.
    """
    place = f"./{BASE}"
    if base.file is not None:
        lies = base.file.absolute().parent.resolve() / base.file.name
        place = os.path.relpath(lies, output.resolve())
    generation = plan.data.task.generation
    written = modelfile(
        plan.form.tokenizer,
        base=place,
        adapter=f"./{ADAPTER}",
        trained_on_chats=generation is not None and generation.is_chat,
    )
    write_text(folder / "Modelfile", written.text)
    return written.template


def _text(plan: Plan, base: _Base, agreed: Agreement | None) -> str:
    text = f"`{ADAPTER}` is a LoRA adapter of llama.cpp for the base model in GGUF form, of any type.\n"
    if base.file is not None:
        text += f"That is `{_name(base)}` below: write its path in its place, or put it beside these files."
    else:
        text += f"llama.cpp's script makes that file, `{BASE}` below: `{_conversion(plan)}`."
    if agreed is None:
        return text
    text += (
        f"\n\nOf {counted(agreed.prompts, 'prompt')}, {agreed.same} are continued greedily with the same "
        "tokens as in\ntransformers."
    )
    if agreed.ties:
        text += (
            f" {agreed.ties} more part where its two best tokens are less than "
            f"{agreed.comparison.tolerance:.3g} of log-probability apart."
        )
    if base.packed:
        text += " The base model's file was unpacked to f32 for this, which rounds nothing."
    return text


def _conversion(plan: Plan) -> str:
    name = public_name(plan.config.model.name or "")
    if plan.source.is_local:
        return f"python convert_hf_to_gguf.py {shlex.quote(name)} --outfile {BASE}"
    revision = plan.config.model.revision
    which = f"{name} --revision {shlex.quote(revision)}" if revision else name
    return f"hf download {which} --local-dir base && python convert_hf_to_gguf.py base --outfile {BASE}"
