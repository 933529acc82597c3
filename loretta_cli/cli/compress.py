"""``loretta compress``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loretta_cli.cli import options
from loretta_cli.cli.shell import check_remote_code, command, quiet_transformers
from loretta_cli.errors import ConfigError, RunError
from loretta_cli.numerals import counted
from loretta_cli.processes import processes
from loretta_cli.report import Reporter

if TYPE_CHECKING:
    from torch import nn

    from loretta_cli.artifacts.compress_report import CompressReport, Scores
    from loretta_cli.artifacts.lora_source import LoraSource
    from loretta_cli.config import Config
    from loretta_cli.planning.plan import Plan

EPILOG = options.examples(
    "loretta compress runs/sst2-lora-minilm --tt-rank 5 --output runs/sst2-lora-as-rep",
    "loretta compress my-lora --tt-rank 2,4,8 --task sst2 --data data/sst2 --output compressed",
    "loretta compress my-lora --base ./llama --tt-rank 8 --output my-rep",
)
_READ = ("training.evaluation_batch_size", "training.seed")
"""Settings outside of model, task and data that count for an adapter of PEFT alone."""


def compress(
    lora: Annotated[
        Path, typer.Argument(metavar="LORA", help="A LoRA folder of PEFT, or a run with --method lora.")
    ],
    tt_rank: Annotated[
        str, typer.Option("--tt-rank", metavar="R[,R...]", help="TT ranks, an adapter each, such as 2,4,8.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write; of several ranks, rank-R.")
    ],
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            "--model",
            "-m",
            metavar="M",
            help="The base model, if it is not where the LoRA says: folder, hub id, or a bundled name.",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", "-t", metavar="T", help="Of a LoRA of PEFT: score it before and after."),
    ] = None,
    data: options.Data = None,
    rows: Annotated[
        int | None, typer.Option("--rows", metavar="N", min=1, help="Score at most N validation rows.")
    ] = None,
    overrides: options.Overrides = None,
    trust_remote_code: options.RemoteCode = False,
    json: options.Json = False,
) -> None:
    """Turn a LoRA into a rep adapter without training, and say how much of it is lost.

    Each layer's update becomes a tensor train near to it.

    With a task a run folder is written, for eval, merge and export; else an adapter folder of PEFT.
    """
    with command(json=json) as reporter:
        from loretta_cli.artifacts.files import check_new_folder
        from loretta_cli.tasks import check_task

        ranks = _ranks(tt_rank)
        if processes().count > 1:
            raise ConfigError("compress is the work of one process.", hint="Start it without torchrun.")
        check_new_folder(output)
        if task is not None:
            check_task(task)
        _check_scored(task, lora, data=data, rows=rows)
        if not lora.is_dir():
            raise RunError(
                f"There is no folder {lora}.", hint="Give the folder of a LoRA, or of a run with one."
            )
        quiet_transformers()
        from loretta_cli.artifacts.compress import CompressRequest
        from loretta_cli.artifacts.compress import compress as compress_lora
        from loretta_cli.artifacts.lora_source import find_lora

        source = find_lora(lora, base=base)
        if source.run is not None:
            if task is not None or overrides:
                raise ConfigError(
                    "A run is scored on its own task with its own settings; --task and --set are for a "
                    "LoRA of PEFT.",
                    hint="Leave them out, or give the folder adapter in the run.",
                )
            config = source.run.read_config()
        else:
            config = _config(source, base, task, data, overrides or [], trust_remote_code=trust_remote_code)
        check_remote_code(config, trusted=trust_remote_code)
        own = data if source.run is not None else None
        request = CompressRequest(source, ranks, output, config, own, rows)
        _show(compress_lora(request, reporter, _scores), reporter)


def _ranks(text: str) -> tuple[int, ...]:
    """The TT ranks of a list, each once.

    Raises:
        ConfigError: If one is no positive integer.
    """
    parts = [part.strip() for part in text.split(",")]
    wrong = [part for part in parts if not (part.isascii() and part.isdigit() and int(part) > 0)]
    if wrong:
        raise ConfigError(
            f"--tt-rank has {wrong[0]!r}; expected whole numbers of at least 1.",
            hint="For example --tt-rank 5, or --tt-rank 2,4,8.",
        )
    return tuple(dict.fromkeys(map(int, parts)))


def _check_scored(task: str | None, lora: Path, *, data: str | None, rows: int | None) -> None:
    """Refuse rows without a task to score on.

    Raises:
        ConfigError: Naming the flag.
    """
    given = [name for name, value in (("--data", data), ("--rows", rows)) if value is not None]
    if given and task is None and (lora / "adapter_config.json").is_file():
        raise ConfigError(f"{given[0]} is given without a task to score on.", hint="Add --task NAME.")


def _config(
    source: LoraSource,
    base: str | None,
    task: str | None,
    data: str | None,
    overrides: list[str],
    *,
    trust_remote_code: bool,
) -> Config:
    """The config of a LoRA of PEFT alone: its base model, and the task."""
    from loretta_cli.artifacts.compress_base import form_of
    from loretta_cli.config import load_config

    name = base or source.config.base_model_name_or_path
    if not name:
        raise ConfigError("The LoRA does not say what its base model is.", hint="Add --base MODEL.")
    form = form_of(source)
    is_asked = task is None or any(override.startswith("task.form=") for override in overrides)
    flags = {
        "model.name": name,
        "model.revision": source.config.revision if base is None else None,
        "task.name": task,
        "task.form": None if is_asked or form == "prompt" else form,
        "data.source": data,
        "model.trust_remote_code": trust_remote_code or None,
    }
    loaded = load_config(None, flags, overrides)
    for key in loaded.origins:
        if key not in _READ and key.partition(".")[0] not in ("model", "task", "data"):
            raise ConfigError(
                f"compress does not read {key}: it is a setting of a training.", hint="Leave it out."
            )
    return loaded.config


def _scores(plan: Plan, model: nn.Module) -> Scores:
    from loretta_cli.artifacts.compress_report import Scores
    from loretta_cli.evaluation.run import evaluate_plan
    from loretta_cli.measure.memory import peak_memory_bytes

    found = evaluate_plan(plan, model, "validation")
    return Scores(
        found.main_metric, found.metrics, found.rows, found.shortened, found.ties, peak_memory_bytes()
    )


def _show(report: CompressReport, reporter: Reporter) -> None:
    names = [f"TT rank {rank.rank}" for rank in report.ranks]
    reporter.table("Error of each layer", ("layer", *names), report.layer_cells())
    title = f"LoRA as rep, {counted(report.layers, 'layer')}"
    if report.before is not None:
        title += f"; {report.task}, {counted(report.before.rows, 'validation row')}"
    reporter.table(title, report.columns(), report.cells())
    reporter.line(f"written: {report.output}")
    reporter.result(report.as_json())
