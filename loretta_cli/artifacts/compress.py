"""``loretta compress``: a LoRA written as rep, with the error of each layer and the metrics of a task."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from torch import nn

from loretta_cli.artifacts.compress_base import prepare_bench, random_modules
from loretta_cli.artifacts.compress_card import write_cards
from loretta_cli.artifacts.compress_report import CompressReport, RankReport, Scores
from loretta_cli.artifacts.files import check_new_folder, new_folder, write_json
from loretta_cli.artifacts.fingerprint import ADAPTER_WEIGHTS, add_adapter
from loretta_cli.artifacts.identity import record_base
from loretta_cli.artifacts.lora_source import LoraSource
from loretta_cli.artifacts.restore import put_saved
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.config import AdapterSettings, Config, write_config
from loretta_cli.errors import ConfigError, ModelError
from loretta_cli.models.loading import LoadedModel, to_device
from loretta_cli.models.quantization import parameter_size
from loretta_cli.planning.plan import Plan
from loretta_cli.report import Reporter
from loretta_cli.tuners.rep.from_lora import RepForm, rep_form
from loretta_cli.tuners.settings import settings_of
from loretta_cli.tuners.targets import insert_adapter

Judge = Callable[[Plan, nn.Module], Scores]
"""The metrics of a model on the rows of a plan."""


@dataclass(frozen=True, slots=True)
class CompressRequest:
    """What is to be compressed, and how.

    Args:
        source: The LoRA.
        ranks: TT ranks, one adapter each.
        output: The folder to write; of several ranks it gets a folder for each.
        config: Names the base model, and the task if there is one; that of the run, if a run trained it.
        data: Rows to score on, if not the config's.
        rows: At most so many.
    """

    source: LoraSource
    ranks: Sequence[int]
    output: Path
    config: Config
    data: str | None = None
    rows: int | None = None


def compress(request: CompressRequest, reporter: Reporter, judge: Judge) -> CompressReport:
    """Write a LoRA as rep, at one TT rank or several.

    With a task, what is written is a run folder: ``eval``, ``merge`` and ``export`` take it. Without one it
    is an adapter folder in PEFT's layout.

    Args:
        request: What to compress.
        reporter: Hears of progress.
        judge: Scores a model, before and after.

    Raises:
        ModelError: If the LoRA does not fit its base model.
        LorettaError: If base model or data cannot be read, or the output not be written.
    """
    started = time.perf_counter()
    source = request.source
    check_new_folder(request.output)
    bench = prepare_bench(request.config, source, data=request.data, rows=request.rows, note=reporter.note)
    before = None
    if bench.plan is not None:
        base = bench.load()
        _check_scorable(base, source, bench.source.name)
        reporter.note("scoring the LoRA")
        lora = put_saved(base.model, source.folder, bench.source.name)
        before = judge(bench.plan, to_device(lora).eval())
        del lora, base
        gc.collect()  # PEFT's model holds itself; without this it stays while the next one is loaded
    forms = _forms(source, request.ranks, reporter)
    found: list[RankReport] = []
    with new_folder(request.output) as folder:
        for form in forms:
            name = f"rank-{form.rank}" if len(forms) > 1 else ""
            reporter.note(f"writing TT rank {form.rank}")
            adapter = folder / name / ("adapter" if bench.plan is not None else "")
            base = bench.load()
            total = sum(parameter_size(value) for value in base.model.parameters())
            model = _adapted(form, source, base.model, bench.source.name)
            if not found and (drawn := random_modules(base, source)):
                reporter.warn(f"{_without(drawn, bench.source.name)}: they are random")
            settings: Any = model.active_peft_config
            if source.run is None:
                settings.base_model_name_or_path = source.config.base_model_name_or_path or bench.source.name
            model.save_pretrained(str(adapter), save_embedding_layers=False)
            (adapter / "README.md").unlink(missing_ok=True)
            trainable = sum(value.numel() for value in model.parameters() if value.requires_grad)
            after = judge(bench.plan, to_device(model).eval()) if bench.plan is not None else None
            report = RankReport(
                rank=form.rank,
                tt_rank=settings.tt_rank,
                bottleneck=settings.r,
                output=str(request.output / name),
                errors=form.errors,
                after=after,
                update_parameters=sum(core.numel() for core in form.cores.values()),
                trainable_parameters=trainable,
                total_parameters=total,
                bytes=(adapter / ADAPTER_WEIGHTS).stat().st_size,
            )
            found.append(report)
            if report.update_parameters > source.update_parameters:
                reporter.note(f"at TT rank {form.rank} the trains have more numbers than the LoRA")
            if bench.plan is not None:
                seconds = time.perf_counter() - started
                _write_run(folder / name, request, bench.plan, settings, before, report, seconds)
            dtype = str(base.model.dtype)
            del model, base
            gc.collect()
        result = CompressReport(
            output=str(request.output),
            source=source.name,
            task=bench.plan.data.task.name if bench.plan is not None else None,
            before=before,
            layers=len(source.updates),
            lora_rank=max(left.shape[1] for left, _ in source.updates.values()),
            update_parameters=source.update_parameters,
            trainable_parameters=source.trainable_parameters,
            bytes=source.bytes,
            ranks=tuple(found),
        )
        write_cards(folder, result, bench, request.config, dtype)
    return result


def _forms(source: LoraSource, ranks: Sequence[int], reporter: Reporter) -> list[RepForm]:
    """One form for each rank that can be, in the order asked."""
    forms: dict[int, RepForm] = {}
    for rank in ranks:
        form = rep_form(source.config, source.updates, rank)
        if form.rank < rank:
            reporter.note(
                f"TT rank {rank} is more than any bond can use: {form.rank}, which is exact, is taken"
            )
        forms.setdefault(form.rank, form)
    return list(forms.values())


def _check_scorable(base: LoadedModel, source: LoraSource, name: str) -> None:
    """Refuse to score what is random.

    Raises:
        ConfigError: Naming the modules.
    """
    if drawn := random_modules(base, source):
        raise ConfigError(
            f"{_without(drawn, name)}: a score would be one of random numbers.",
            hint="Give a base model that has them, or a LoRA that has saved them (modules_to_save); or leave "
            "--task out.",
        )


def _without(modules: Sequence[str], name: str) -> str:
    return f"Neither the base model {name} nor the LoRA has weights for {', '.join(modules)}"


def _adapted(form: RepForm, source: LoraSource, base: Any, base_name: str) -> PeftModel:
    """A base model with a LoRA as rep.

    Raises:
        ModelError: If the LoRA is not of this model.
    """
    model = insert_adapter(base, form.config)
    own = get_peft_model_state_dict(model, save_embedding_layers=False)
    given = {**form.cores, **source.saved}
    for name, tensor in given.items():
        if name not in own:
            raise ModelError(
                f"The LoRA has {_plain(name)}, and the base model {base_name} has no such module.",
                hint="It was trained on another base model, or with another kind of head (task.form).",
            )
        if own[name].shape != tensor.shape:
            raise ModelError(
                f"The LoRA does not fit the base model {base_name}: {_plain(name)} has the shape "
                f"{tuple(tensor.shape)} in the LoRA, and {tuple(own[name].shape)} is expected.",
                hint="It was trained on another base model, or for another number of labels.",
            )
    for name in own:
        if name not in given and ".loretta_rep_" in name:
            raise ModelError(
                f"The base model {base_name} has the layer {_plain(name)}, which the LoRA's "
                "target_modules name, and the LoRA has nothing for it.",
                hint="It was trained on another base model; give the right one with --model.",
            )
    set_peft_model_state_dict(model, {**own, **given})
    return model


def _plain(name: str) -> str:
    return name.removeprefix("base_model.model.").partition(".loretta_rep_")[0]


def _write_run(
    folder: Path,
    request: CompressRequest,
    plan: Plan,
    settings: Any,
    before: Scores | None,
    report: RankReport,
    seconds: float,
) -> None:
    """What makes a folder with an adapter a run folder."""
    run, source = RunFolder(folder), request.source
    adapter = AdapterSettings(method="rep").model_copy(update=settings_of("rep", settings))
    write_config(plan.config.model_copy(update={"adapter": adapter}), run.config_file)
    plan.form.tokenizer.save_pretrained(run.adapter)
    record_base(plan, run)
    add_adapter(run)
    scores: Mapping[str, Any] = report.after.as_json() if report.after is not None else {}
    told = {
        "schema_version": 1,
        "run": report.output,
        **{
            name: value
            for name, value in scores.items()
            if name not in ("task", "split", "peak_memory_bytes")
        },
        "selection": None,
        "best_step": 0,
        "trainable_parameters": report.trainable_parameters,
        "total_parameters": report.total_parameters,
        "steps": 0,
        "seconds": round(seconds, 3),
        "peak_memory_bytes": scores.get("peak_memory_bytes"),
        "zeroth_order": None,
        "compressed": {
            "from": source.name,
            "lora_rank": max(left.shape[1] for left, _ in source.updates.values()),
            "metrics_before": dict(before.metrics) if before is not None else None,
            **report.as_json(),
        },
    }
    write_json(run.report_file, told)
