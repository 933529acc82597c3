"""A GGUF export of a base model that is no GGUF file: the merged folder, and llama.cpp's converter for it."""

from __future__ import annotations

from pathlib import Path

import torch

from loretta_cli.artifacts.engines import llama_cpp
from loretta_cli.artifacts.export import ExportRequest
from loretta_cli.artifacts.export.card import write_export_card
from loretta_cli.artifacts.export.modelfile import modelfile
from loretta_cli.artifacts.export.report import EngineCheck, ExportReport
from loretta_cli.artifacts.files import new_folder, write_text
from loretta_cli.artifacts.merge import MergeRequest, merge
from loretta_cli.config import Config
from loretta_cli.errors import ConfigError
from loretta_cli.models.forms import auto_class
from loretta_cli.planning.plan import Plan, make_plan, split_rows
from loretta_cli.report import Reporter

MERGED = "merged"
MODEL = "model.gguf"
SERVING = (
    ("llama.cpp", f"llama-server -m {MODEL}"),
    ("Ollama", "ollama create my-model -f Modelfile\nollama run my-model"),
)
_NOT_CONVERTED = ("gptj", "opt")
"""Causal language models that adapters are made for, and that llama.cpp's converter does not know."""


def check_no_head(config: Config) -> None:
    """Refuse a classification head early.

    Raises:
        ConfigError: With what to do instead.
    """
    if config.task.form == "classification":
        raise ConfigError(
            "This run has a classification head, which llama.cpp does not serve.",
            hint="Train a causal language model with a prompt: --set task.form=prompt.",
        )


def check_causal(plan: Plan) -> None:
    """Refuse a model that llama.cpp does not serve.

    Raises:
        ConfigError: With what to do instead.
    """
    kind = plan.model_config.model_type
    if "CausalLM" not in auto_class(plan.form.name, plan.model_config).__name__ or kind in _NOT_CONVERTED:
        raise ConfigError(
            f"A model of type {kind} has no GGUF export; expected a causal language model that llama.cpp's "
            "converter knows.",
            hint="Use loretta merge.",
        )


def export_for_converter(request: ExportRequest, number_type: str, reporter: Reporter) -> ExportReport:
    """Write the merged model in fp32, so that the converter makes the only cast, and the rest around it.

    Args:
        request: What is to be exported.
        number_type: Of the GGUF file that the converter is to write.
        reporter: Told what is done.

    Raises:
        ConfigError: If llama.cpp has no such model, or the base is quantised.
        ExportError: If the merged model differs; nothing is left behind.
    """
    run, output = request.run, request.output
    config = run.read_config()
    if config.model.quantization is not None:
        raise ConfigError(
            f"The base model of this run is quantised ({config.model.quantization}), and is no GGUF file.",
            hint="Use loretta merge --dequantize, and convert its folder with llama.cpp's "
            "convert_hf_to_gguf.py.",
        )
    plan = make_plan(config, split_rows(config, data=request.data, split="validation", rows=1))
    check_causal(plan)
    command = f"python convert_hf_to_gguf.py {MERGED} --outfile {MODEL} --outtype {number_type}"
    with new_folder(output) as folder:
        merged = merge(MergeRequest(run, folder / MERGED, request.data, dtype=torch.float32), reporter)
        check = EngineCheck(
            llama_cpp.engine_name(),
            None,
            "the base model is no GGUF file, and the merged folder is to be converted first",
        )
        template = write_modelfile(plan, folder)
        found = merged.verification.comparison
        write_export_card(
            folder,
            run,
            base=config.model.name or "",
            library="transformers",
            title=f"Merged model to convert for llama.cpp, exported from a {config.adapter.method} adapter",
            made_by=f"loretta export --format gguf --type {number_type}",
            text=f"`{MERGED}/` is the merged model in transformers' format, in float32. It was compared with "
            f"base and adapter there:\nlargest difference {found.max_abs_difference:.3g}, accepted "
            f"{found.tolerance:.3g}. The `{MODEL}` of the commands below is made by llama.cpp's script\n"
            "(`pip install -r requirements.txt` in a clone of ggml-org/llama.cpp).",
            check=check,
            serving=[("Convert it first", command), *SERVING],
        )
    details = {
        "type": number_type,
        "base_type": None,
        "architecture": None,
        "template": template,
        "continuations": None,
        "same_continuations": None,
        "near_ties": None,
        "merged_difference": found.max_abs_difference,
        "converter": command,
    }
    return ExportReport(str(output), "gguf", check, details)


def write_modelfile(plan: Plan, folder: Path) -> str:
    """Write the ``Modelfile`` for Ollama.

    Args:
        plan: Of the run.
        folder: Of the export.

    Returns:
        What template it has.
    """
    generation = plan.data.task.generation
    written = modelfile(
        plan.form.tokenizer,
        base=f"./{MODEL}",
        adapter=None,
        trained_on_chats=generation is not None and generation.is_chat,
    )
    write_text(folder / "Modelfile", written.text)
    return written.template
