"""One training run: from a config to a finished run folder."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback
from transformers.trainer_callback import PrinterCallback

from loretta_cli.artifacts.card import write_card
from loretta_cli.artifacts.checkpoints import last_complete, step_of
from loretta_cli.artifacts.files import explained, new_folder, write_json
from loretta_cli.artifacts.metrics_log import MetricsLog
from loretta_cli.artifacts.run_folder import RunFolder, create_run
from loretta_cli.config import Config
from loretta_cli.errors import OutputError, RunError, TrainingError
from loretta_cli.evaluation.metrics import compute_metrics
from loretta_cli.measure.environment import describe_environment
from loretta_cli.measure.memory import peak_memory_bytes
from loretta_cli.planning.plan import AdaptedModel, Plan, load_base, make_plan, put_adapter
from loretta_cli.presets import preset_for
from loretta_cli.processes import another_has_failed, connect, disconnect, from_first, processes
from loretta_cli.report import Reporter
from loretta_cli.report.curves import draw_curves
from loretta_cli.tasks.encoding import Encoded
from loretta_cli.tasks.scoring import scores_loss
from loretta_cli.training.arguments import training_arguments
from loretta_cli.training.callbacks import ADAPTER_FILES, BestAdapterCallback, ReportCallback
from loretta_cli.training.gradients import GRADIENTS
from loretta_cli.training.parallel import (
    asked_to_shard,
    check_same_engine,
    shard_base,
    state_to_save,
)
from loretta_cli.training.trainer import AdapterTrainer
from loretta_cli.tuners.settings import outside_head


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a finished run has to say; the document of ``train --json``.

    ``seconds`` is the training time of this process: of the last part, where a run was resumed.
    """

    run: str
    metrics: Mapping[str, float]
    main_metric: str
    best_step: int
    trainable_parameters: int
    total_parameters: int
    steps: int
    seconds: float
    peak_memory_bytes: int

    def as_json(self) -> dict[str, Any]:
        """The fields of the contract."""
        return {name: getattr(self, name) for name in self.__slots__}


def train(
    config: Config, folder: Path, reporter: Reporter, *, resume: bool = False, overwrite: bool = False
) -> TrainReport:
    """Train an adapter and leave a complete run folder.

    Several processes call this together; the first one's folder counts, and it alone writes.

    Args:
        config: What was asked; with ``resume``, the run's own config.
        folder: The run folder, new or to be resumed.
        reporter: Hears of everything.
        resume: Go on from the last complete checkpoint in ``folder``.
        overwrite: Replace a run that is there.

    Raises:
        LorettaError: Of the kind of whatever is wrong.
    """
    connect()
    try:
        report = _train(config, from_first(folder), reporter, resume=resume, overwrite=overwrite)
    except RuntimeError as error:
        # torch's words for a lost connection; the process that was lost tells why.
        if not another_has_failed():
            raise
        raise TrainingError("Another process has failed.") from error
    disconnect()
    return report


def _train(config: Config, folder: Path, reporter: Reporter, *, resume: bool, overwrite: bool) -> TrainReport:
    shard = asked_to_shard(config)
    plan = make_plan(config)
    for note in plan.data.notes:
        reporter.note(note)
    base = load_base(plan)
    if missing := outside_head(base.new_modules, plan.model_config.model_type):
        reporter.warn(
            f"the checkpoint has no weights for {', '.join(missing[:5])}: they are random and saved along"
        )
    adapted = put_adapter(plan, base)
    rows = encode_rows(plan, reporter)
    run = RunFolder(folder) if resume else _create(folder, adapted.config, overwrite=overwrite)
    reporter.header(f"Training {config.adapter.method} on {plan.data.task.name}", facts(plan, adapted, run))
    checkpoint = from_first(last_complete(run.checkpoints)) if resume else None
    log = MetricsLog(run.metrics_file) if processes().is_first else None
    if resume:
        step = step_of(checkpoint) if checkpoint else 0
        reporter.note(
            f"resuming after step {step}" if checkpoint else "no complete checkpoint yet: starting anew"
        )
        if log is not None:
            log.truncate_after(step)
    with explained(folder):
        if log is not None:
            write_json(run.environment_file, describe_environment())
        if shard:
            reporter.note(f"the frozen base is divided among {processes().count} processes")
            shard_base(adapted.model)
        trainer = make_trainer(plan, adapted, rows, run, reporter, log)
        if checkpoint is not None:
            check_same_engine(checkpoint, deepspeed=trainer.is_deepspeed_enabled)
        started = time.monotonic()
        if checkpoint is None or not trainer.take_up_ended(checkpoint):
            _fit(trainer, checkpoint, reporter)
        report = (
            _finish(plan, adapted, run, trainer, log, time.monotonic() - started) if log is not None else None
        )
        finished = from_first(report)
    assert finished is not None
    return finished


def _create(folder: Path, config: Config, *, overwrite: bool) -> RunFolder:
    """Have the first process make the run folder, and see that the others find it.

    Raises:
        OutputError: If it cannot be written, or another machine does not see it.
    """
    run = RunFolder(folder)
    if processes().is_first:
        create_run(folder, config, overwrite=overwrite)
    made = from_first(run.path.absolute())
    if not RunFolder(made).config_file.is_file():
        raise OutputError(
            f"Process {processes().rank} does not find the run folder {made} that the first process made.",
            hint="Machines that train together need one --output on a disk that all of them see.",
        )
    return run


def _fit(trainer: AdapterTrainer, checkpoint: Path | None, reporter: Reporter) -> None:
    """Run Trainer's loop.

    Raises:
        TrainingError: If a GPU has too little memory.
    """
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"The GPU is out of memory at step {trainer.state.global_step}.",
            hint="Lower training.batch_size (and raise training.gradient_accumulation), set "
            "training.gradient_checkpointing=true, or lower data.max_length.",
        ) from error
    finally:
        reporter.training_ended()


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """The rows of a run as token ids; those to validate on are sorted by length."""

    train: Encoded
    validation: Encoded


def encode_rows(plan: Plan, reporter: Reporter) -> EncodedRows:
    """Encode a plan's rows, and say how many were cut.

    Raises:
        DataError: If a row cannot be made short enough.
        ConfigError: If the options of a prompt cannot be told apart.
    """
    task, form = plan.data.task, plan.form
    rows = EncodedRows(
        form.encode(task, plan.data.train), form.encode(task, plan.data.validation).by_length()
    )
    shortened = rows.train.shortened + rows.validation.shortened
    if shortened:
        total = len(rows.train.rows) + len(rows.validation.rows)
        reporter.note(f"{shortened} of {total} rows are longer than {form.max_length} tokens and were cut")
    return rows


def make_trainer(
    plan: Plan,
    adapted: AdaptedModel,
    rows: EncodedRows,
    run: RunFolder,
    reporter: Reporter,
    log: MetricsLog | None,
) -> AdapterTrainer:
    """The Trainer of a run; only the first process has a log."""
    settings, task = adapted.config.training, plan.data.task

    def metrics(prediction: Any) -> dict[str, float]:
        scores, labels = prediction.predictions, prediction.label_ids
        loss = scores_loss(torch.from_numpy(scores), torch.from_numpy(labels))
        return {**compute_metrics(task.metrics, scores, labels), "loss": float(loss)}

    callbacks: list[Any] = [ReportCallback(reporter, log, task.metrics), BestAdapterCallback(run.best)]
    if settings.early_stopping is not None:
        callbacks.append(EarlyStoppingCallback(settings.early_stopping))
    trainer = AdapterTrainer(
        estimator=GRADIENTS.get(settings.gradient)(),
        scorer=plan.form.scorer,
        model=adapted.model,
        args=training_arguments(
            settings,
            folder=run.checkpoints,
            main_metric=task.main_metric,
            validation_rows=len(rows.validation.rows),
        ),
        data_collator=plan.form.collate,
        train_dataset=list(rows.train.rows),
        eval_dataset=list(rows.validation.rows),
        compute_metrics=metrics,
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def facts(plan: Plan, adapted: AdaptedModel, run: RunFolder) -> dict[str, str]:
    """What the header of a run shows."""
    training, adapter, count = adapted.config.training, adapted.config.adapter, adapted.count
    parts = ", ".join(f"{name} {number:,}" for name, number in count.parts.items() if number)
    share = ""
    if (count_of := processes().count) > 1:
        share = f" ({training.batch_size // count_of} on each of {count_of} processes)"
    length = f"{training.max_steps} steps" if training.max_steps else f"{training.epochs:g} epochs"
    length = "1 epoch" if length == "1 epochs" else length
    preset = ""
    if adapter.method in ("adp", "rep"):
        chosen = preset_for(
            "adp" if adapter.method == "adp" else "rep",
            plan.config.adapter.preset,
            plan.model_config.to_dict(),
        )
        preset = f", TT rank {adapter.tt_rank}, preset {chosen.name} ({chosen.reason})"
    quantized = f", {plan.config.model.quantization}" if plan.config.model.quantization else ""
    return {
        "model": f"{adapted.config.model.name} ({plan.form.name}{quantized})",
        "data": f"{len(plan.data.train):,} train, {len(plan.data.validation):,} validation rows",
        "adapter": f"{adapter.method}, bottleneck {adapter.bottleneck}{preset}",
        "trainable": f"{count.trainable:,} of {count.total:,} ({count.percent:.3f} %): {parts}",
        "training": f"{length}, batch {training.batch_size}{share}, "
        f"learning rate {training.learning_rate:g}, seed {training.seed}",
        "run": str(run.path),
    }


def _finish(
    plan: Plan,
    adapted: AdaptedModel,
    run: RunFolder,
    trainer: AdapterTrainer,
    log: MetricsLog,
    seconds: float,
) -> TrainReport:
    """Write the adapter (the best one, which Trainer has loaded) and everything that describes the run."""
    records = log.read()
    best_step = int(trainer.state.best_global_step or trainer.state.global_step)
    validations = [record for record in records if record["split"] == "validation"]
    best = next((record for record in reversed(validations) if record["step"] == best_step), None)
    if best is None:
        raise RunError(
            f"{run.metrics_file} has no validation record of step {best_step}, the best one.",
            hint="The file was changed or cut; start the run anew with --overwrite.",
        )
    report = TrainReport(
        run=str(run.path),
        metrics={name: float(str(best[name])) for name in (*plan.data.task.metrics, "loss")},
        main_metric=plan.data.task.main_metric,
        best_step=best_step,
        trainable_parameters=adapted.count.trainable,
        total_parameters=adapted.count.total,
        steps=trainer.state.global_step,
        seconds=round(seconds, 3),
        peak_memory_bytes=peak_memory_bytes(),
    )
    with new_folder(run.adapter, replace=True) as adapter:
        if trainer.is_deepspeed_enabled:
            # Its weights lie in parts on all processes; the best checkpoint was gathered when it was saved.
            for name in ADAPTER_FILES:
                shutil.copy2(run.best / name, adapter / name)
        else:
            state = state_to_save(adapted.model)
            adapted.model.save_pretrained(str(adapter), state_dict=state, save_embedding_layers=False)
            (adapter / "README.md").unlink(missing_ok=True)
        with new_folder(run.best, replace=True) as best_folder:
            for name in ADAPTER_FILES:
                shutil.copy2(adapter / name, best_folder / name)
        plan.form.tokenizer.save_pretrained(adapter)
    log.write_csv(run.metrics_table)
    draw_curves(records, run.curves, main_metric=report.main_metric)
    write_card(run, plan, adapted, report.as_json())
    write_json(run.report_file, {"schema_version": 1, **report.as_json()})
    return report
