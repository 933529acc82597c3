"""One training run: from a config to a finished run folder."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from transformers import EarlyStoppingCallback
from transformers.trainer_callback import PrinterCallback

from loretta_cli.artifacts.base_location import EDIT_CONFIG, check_base_is_there
from loretta_cli.artifacts.checkpoints import last_complete, step_of
from loretta_cli.artifacts.files import explained, write_json
from loretta_cli.artifacts.identity import load_checked_base, record_base
from loretta_cli.artifacts.metrics_log import MetricsLog
from loretta_cli.artifacts.run_folder import RunFolder, create_run
from loretta_cli.artifacts.run_lock import check_not_running, running
from loretta_cli.artifacts.run_settings import write_origins
from loretta_cli.config import Config
from loretta_cli.errors import ConfigError, Interrupted, OutputError, TrainingError
from loretta_cli.evaluation.evaluate import NotFiniteError, RowsToScore, encode, evaluate
from loretta_cli.evaluation.metrics import LOWER_IS_BETTER
from loretta_cli.measure.environment import describe_environment
from loretta_cli.numerals import counted
from loretta_cli.planning.plan import AdaptedModel, Plan, load_base, make_plan, put_adapter
from loretta_cli.planning.remedies import Need
from loretta_cli.processes import another_has_failed, connect, disconnect, from_first, processes
from loretta_cli.report import Reporter
from loretta_cli.tasks.forms import Encoded
from loretta_cli.training.arguments import training_arguments
from loretta_cli.training.callbacks import BestAdapterCallback, ReportCallback
from loretta_cli.training.checkpointing import disk_explained
from loretta_cli.training.finishing import TrainReport, evaluate_reported, finish
from loretta_cli.training.gradients import GRADIENTS, TrainingRun
from loretta_cli.training.gradients.length import length_of_training
from loretta_cli.training.header import facts
from loretta_cli.training.interruption import InterruptionCallback, signals_finish_the_step
from loretta_cli.training.objectives import batch_scorer
from loretta_cli.training.out_of_memory import Activity, given_settings, memory_explained
from loretta_cli.training.parallel import (
    asked_to_shard,
    check_same_engine,
    shard_base,
)
from loretta_cli.training.returned_memory import return_large_blocks
from loretta_cli.training.save_on_request import SaveOnRequest, request_files
from loretta_cli.training.throughput import Throughput
from loretta_cli.training.trackers import check_trackers
from loretta_cli.training.tracking import logs_of, tracked
from loretta_cli.training.trainer import AdapterTrainer
from loretta_cli.training.watch import watch_over
from loretta_cli.training.watching.rows import check_rows
from loretta_cli.training.watching.tensors import idle_head
from loretta_cli.tuners.carrying import carry_over
from loretta_cli.tuners.settings import outside_head


def train(
    config: Config,
    folder: Path,
    reporter: Reporter,
    *,
    resume: bool = False,
    overwrite: bool = False,
    origins: Mapping[str, str] | None = None,
) -> TrainReport:
    """Train an adapter and leave a complete run folder.

    Several processes call this together; the first one's folder counts, and it alone writes.

    Args:
        config: What was asked; with ``resume``, the run's own config.
        folder: The run folder, new or to be resumed.
        reporter: Hears of everything.
        resume: Go on from the last complete checkpoint in ``folder``.
        overwrite: Replace a run that is there.
        origins: Where each given value was given, by dotted key; recorded in a new run.

    Raises:
        LorettaError: Of the kind of whatever is wrong.
    """
    with connected():
        return train_one(
            config, from_first(folder), reporter, resume=resume, overwrite=overwrite, origins=origins
        )


@contextlib.contextmanager
def connected() -> Iterator[None]:
    """Have several processes in touch with each other for the time of a training.

    Raises:
        TrainingError: If the connection is lost.
    """
    connect()
    try:
        yield
    except RuntimeError as error:
        # torch's words for a lost connection; the process that was lost tells why.
        if not another_has_failed():
            raise
        raise TrainingError("Another process has failed.") from error
    disconnect()


def train_one(
    config: Config,
    folder: Path,
    reporter: Reporter,
    *,
    resume: bool,
    overwrite: bool = False,
    origins: Mapping[str, str] | None = None,
    start_from: Path | None = None,
    start_with_head: bool = False,
) -> TrainReport:
    """What :func:`train` does, of processes that are connected.

    Args:
        config: As for :func:`train`.
        folder: The same on every process.
        reporter: As for :func:`train`.
        resume: As for :func:`train`.
        overwrite: As for :func:`train`.
        origins: As for :func:`train`.
        start_from: A saved adapter whose tensors are taken before training.
        start_with_head: Whether those of its classification head are taken too.
    """
    check_trackers(config.training.trackers)
    shard = asked_to_shard(config)
    begun = RunFolder(folder) if resume else None
    if begun is not None:
        if processes().is_first:
            check_not_running(begun.path)
        check_base_is_there(begun, hint=EDIT_CONFIG)
    plan = make_plan(config)
    for note in plan.data.notes:
        reporter.note(note)
    base = load_base(plan) if begun is None else load_checked_base(plan, begun, hint=EDIT_CONFIG)
    if missing := outside_head(base.new_modules, plan.model_config.model_type):
        reporter.warn(
            f"the checkpoint has no weights for {', '.join(missing[:5])}: they are random and saved along"
        )
    adapted = put_adapter(plan, base)
    if start_from is not None:
        carry_over(adapted.model, start_from, with_head=start_with_head)
    rows = encode_rows(plan, reporter)
    said = [idle_head(base.new_modules, adapted.model), check_rows(rows.train.rows, plan.data.train)]
    for warning in filter(None, said):
        reporter.warn(warning)
    length_of_training(adapted.config, len(rows.train.rows))  # refused before there is a folder
    run = begun or create_together(folder, adapted.config, overwrite=overwrite, origins=origins)
    reporter.header(f"Training {config.adapter.method} on {plan.data.task.name}", facts(plan, adapted, run))
    checkpoint = from_first(last_complete(run.checkpoints)) if resume else None
    taken = step_of(checkpoint) if checkpoint else 0
    with (
        explained(folder),
        held(run),
        tracked(adapted.config, run, reporter, taken=taken if resume else None) as tracking,
    ):
        log, speeds = logs_of(run, tracking)
        if resume:
            reporter.note(
                f"resuming after step {taken}" if checkpoint else "no complete checkpoint yet: starting anew"
            )
            for one in filter(None, (log, speeds)):
                one.truncate_after(taken)
        if log is not None:
            write_json(run.environment_file, describe_environment())
            record_base(plan, run)
        if shard:
            reporter.note(f"the frozen base is divided among {processes().count} processes")
            shard_base(adapted.model)
        trainer = make_trainer(
            plan, adapted, rows, run, reporter, log, taken=taken, speeds=speeds, new=base.new_modules
        )
        if checkpoint is not None:
            check_same_engine(checkpoint, deepspeed=trainer.is_deepspeed_enabled)
        started = time.monotonic()
        with memory_explained(trainer.activity, memory_needed(plan, adapted, rows, run), run):
            if checkpoint is None or not trainer.take_up_ended(checkpoint):
                _fit(trainer, checkpoint, run, reporter)
            seconds = time.monotonic() - started
            with trainer.activity.doing("in the evaluation of the best adapter", is_evaluation=True):
                found = evaluate_reported(plan, trainer, rows.validation)
        report = finish(plan, adapted, run, trainer, log, found, seconds) if log is not None else None
        finished = from_first(report)
    assert finished is not None
    return finished


def held(run: RunFolder) -> contextlib.AbstractContextManager[None]:
    """Keep other trainings out of a run while the first process is within the block.

    Raises:
        RunError: If another one is at it.
    """
    return running(run.path) if processes().is_first else contextlib.nullcontext()


def create_together(
    folder: Path, config: Config, *, overwrite: bool, origins: Mapping[str, str] | None = None
) -> RunFolder:
    """Have the first process make the run folder, and see that the others find it.

    Raises:
        OutputError: If it cannot be written, or another machine does not see it.
    """
    run = RunFolder(folder)
    if processes().is_first:
        create_run(folder, config, overwrite=overwrite)
        if origins is not None:
            write_origins(run, origins)
    made = from_first(run.path.absolute())
    if not RunFolder(made).config_file.is_file():
        raise OutputError(
            f"Process {processes().rank} does not find the run folder {made} that the first process made.",
            hint="Machines that train together need one --output on a disk that all of them see.",
        )
    return run


def _fit(trainer: AdapterTrainer, checkpoint: Path | None, run: RunFolder, reporter: Reporter) -> None:
    """Run Trainer's loop; a signal ends it behind the step in flight.

    Raises:
        Interrupted: If a signal came.
        TrainingError: If the disk has too little room.
    """
    try:
        with disk_explained(run), signals_finish_the_step(reporter) as interruption:
            trainer.add_callback(InterruptionCallback(interruption))
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        reporter.training_ended()
    if interruption.asked or interruption.step is not None:
        step, steps = trainer.state.global_step, trainer.state.max_steps
        raise Interrupted(f"Interrupted after step {step} of {steps}; there is a checkpoint of it.")


def memory_needed(
    plan: Plan, adapted: AdaptedModel, rows: RunRows, run: RunFolder
) -> Callable[[Activity], Need]:
    """What a run needs memory for, by what it is doing."""
    base: Any = adapted.model.get_base_model()
    return lambda activity: Need(
        plan,
        adapted.config,
        rows.train.rows,
        rows.selection.encoded.rows,
        work="evaluation" if activity.is_evaluation else "training",
        dtype=base.dtype,
        given=given_settings(run, adapted.config),
        share=processes().count,
    )


@dataclass(frozen=True, slots=True)
class RunRows:
    """The rows of a run as token ids: to train on, to choose the checkpoint by, and to report."""

    train: Encoded
    selection: RowsToScore
    validation: RowsToScore


def encode_rows(plan: Plan, reporter: Reporter) -> RunRows:
    """Encode a plan's rows, and say how many were cut.

    Raises:
        DataError: If a row cannot be made short enough.
        ConfigError: If the options of a prompt cannot be told apart.
    """
    data, form = plan.data, plan.form
    validation = encode(form, data.validation)
    is_one = data.selection is data.validation
    selection = validation if is_one else encode(form, data.selection)
    rows = RunRows(form.encode(data.train), selection, validation)
    parts = [rows.train, validation.encoded, *([] if is_one else [selection.encoded])]
    if shortened := sum(part.shortened for part in parts):
        of = f"of {counted(sum(len(part.rows) for part in parts), 'row')}"
        longer = f"longer than {counted(form.max_length, 'token')} and"
        reporter.note(counted(shortened, f"{of} is {longer} was cut", f"{of} are {longer} were cut"))
    return rows


def make_trainer(
    plan: Plan,
    adapted: AdaptedModel,
    rows: RunRows,
    run: RunFolder,
    reporter: Reporter,
    log: MetricsLog | None,
    *,
    taken: int,
    speeds: MetricsLog | None = None,
    new: Sequence[str] = (),
) -> AdapterTrainer:
    """The Trainer of a run; only the first process has logs, and ``taken`` steps lie behind the adapter.

    ``new`` are the modules of which the checkpoint had no weights.
    """
    settings, form = adapted.config.training, plan.form
    if settings.gradient_checkpointing:
        return_large_blocks()
    steps = settings.max_steps
    if adapted.config.zo.max_forward_passes is not None:
        steps = length_of_training(adapted.config, len(rows.train.rows)).steps
    chosen_by = "loss" if settings.select_by == "loss" else plan.data.task.main_metric

    def evaluation(model: nn.Module) -> Mapping[str, float]:
        batch_size, only_loss = settings.evaluation_batch_size, chosen_by == "loss"
        try:
            found = evaluate(model, form, rows.selection, batch_size=batch_size, only_loss=only_loss)
            watch.heard_evaluation(found)
            return found.metrics
        except NotFiniteError:
            if settings.gradient != "zo":
                raise
            # The worst there is: a rollback may yet lead out of it.
            worst = math.inf if chosen_by in LOWER_IS_BETTER else -math.inf
            return {chosen_by: worst, "loss": math.inf}

    throughput = Throughput(lambda: trainer.estimator, speeds)
    watch = watch_over(plan, adapted, run, reporter, lambda: trainer.estimator, metric=chosen_by, head=new)
    callbacks: list[Any] = [
        throughput,
        ReportCallback(reporter, log, plan.data.selection_split, lambda: trainer.estimator, throughput),
        watch,
        BestAdapterCallback(run.best),
        SaveOnRequest(request_files(run), reporter),
    ]
    if settings.early_stopping is not None:
        callbacks.append(EarlyStoppingCallback(settings.early_stopping))
    trainer = AdapterTrainer(
        form=form,
        evaluation=evaluation,
        keep_checkpoints=settings.keep_checkpoints,
        count=throughput.add,
        watch=watch,
        scorer=batch_scorer(settings.objective, form, rows.train.rows, plan.data.train),
        model=adapted.model,
        args=training_arguments(
            settings,
            steps=steps,
            folder=run.checkpoints,
            chosen_by=chosen_by,
            greater_is_better=chosen_by not in LOWER_IS_BETTER,
        ),
        train_dataset=list(rows.train.rows),
        eval_dataset=list(rows.selection.encoded.rows),
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    if trainer.is_deepspeed_enabled and settings.gradient == "zo":
        raise ConfigError(
            "Zeroth-order training does not run under DeepSpeed, whose work is the backward pass.",
            hint="Start it with torchrun, or accelerate launch without DeepSpeed.",
        )
    decayed = set(trainer.get_decay_parameter_names(adapted.model))
    trainer.estimator = GRADIENTS.get(settings.gradient)(
        TrainingRun(
            config=adapted.config,
            model=adapted.model,
            folder=run,
            reporter=reporter,
            rows=len(rows.train.rows),
            taken=taken,
            undecayed=frozenset(one for name, one in adapted.model.named_parameters() if name not in decayed),
            optimizer=lambda: trainer.optimizer,
        )
    )
    return trainer
