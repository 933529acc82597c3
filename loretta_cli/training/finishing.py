"""The end of a run: what the best adapter scores, and everything that is written about it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from loretta_cli.artifacts.card import write_card
from loretta_cli.artifacts.data_digest import describe_data
from loretta_cli.artifacts.files import new_folder, write_json
from loretta_cli.artifacts.fingerprint import ADAPTER_WEIGHTS, add_adapter
from loretta_cli.artifacts.metrics_log import MetricsLog
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.artifacts.trajectory_log import read_estimates
from loretta_cli.errors import RunError
from loretta_cli.evaluation.evaluate import Evaluation, RowsToScore, encode, evaluate
from loretta_cli.measure.memory import peak_memory_bytes
from loretta_cli.planning.plan import AdaptedModel, Plan
from loretta_cli.report.curves import draw_curves
from loretta_cli.training.callbacks import ADAPTER_FILES
from loretta_cli.training.parallel import state_to_save
from loretta_cli.training.throughput import median_tokens_per_second
from loretta_cli.training.trainer import AdapterTrainer


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a finished run has to say; the document of ``train --json``.

    ``metrics`` are those of ``rows`` rows of the validation split, after training; of these, ``shortened``
    were too long and were truncated, and in ``ties`` the two best options have the same score.
    ``selection`` says what chose the checkpoint: ``split`` (``validation`` only under the protocol
    ``paper``), ``rows``, ``metric``, ``value``.
    ``zeroth_order`` is None for exact gradients; otherwise the ``forward_passes`` of the training, ``eps``,
    the ``queries`` of the last step, how often each of the ``events`` ``skip``, ``clip`` and ``rollback``
    happened, and the ``pace``: what the learning rate was multiplied by in the end, 1 without rollbacks.
    ``seconds`` is the training time of this process: of the last part, where a run was resumed.
    ``data`` has the ``source``, the ``protocol``, and of each split the rows (``train_rows``, …) and their
    ``sha256``; ``adapter_bytes`` is the size of the adapter's file. ``tokens_per_second`` is the median over
    the log intervals, None where none was measured.
    """

    run: str
    model: str
    method: str
    task: str
    metrics: Mapping[str, float]
    main_metric: str
    rows: int
    shortened: int
    ties: int
    selection: Mapping[str, object]
    best_step: int
    trainable_parameters: int
    total_parameters: int
    steps: int
    seconds: float
    peak_memory_bytes: int
    zeroth_order: Mapping[str, object] | None
    data: Mapping[str, object]
    adapter_bytes: int
    tokens_per_second: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The fields of the contract."""
        return {name: getattr(self, name) for name in self.__slots__}


def evaluate_reported(plan: Plan, trainer: AdapterTrainer, rows: RowsToScore) -> Evaluation:
    """The evaluation of the validation split, with the metrics of MNLI's second one as ``…_mismatched``."""
    model, batch_size = trainer.model_in_use, plan.config.training.evaluation_batch_size
    found = evaluate(model, plan.form, rows, batch_size=batch_size)
    if not plan.data.mismatched:
        return found
    other = evaluate(model, plan.form, encode(plan.form, plan.data.mismatched), batch_size=batch_size).metrics
    return replace(
        found,
        metrics={**found.metrics, **{f"{name}_mismatched": value for name, value in other.items()}},
    )


def finish(
    plan: Plan,
    adapted: AdaptedModel,
    run: RunFolder,
    trainer: AdapterTrainer,
    log: MetricsLog,
    found: Evaluation,
    seconds: float,
) -> TrainReport:
    """Write the adapter (the best one, which Trainer has loaded) and everything that describes the run."""
    records = log.read()
    best_step = int(trainer.state.best_global_step or trainer.state.global_step)
    split = plan.data.selection_split
    chosen = [record for record in records if record["split"] == split and record["step"] == best_step]
    if not chosen:
        raise RunError(
            f"{run.metrics_file} has no {split} record of step {best_step}, the best one.",
            hint="The file was changed or cut; start the run anew with --overwrite.",
        )
    if all(record["split"] != "validation" for record in records):
        log.append(best_step, "validation", found.metrics)
    chosen_by = str(trainer.args.metric_for_best_model)
    report = TrainReport(
        run=str(run.path),
        model=plan.config.model.name or "",
        method=plan.config.adapter.method,
        task=plan.data.task.name,
        metrics=found.metrics,
        main_metric=plan.data.task.main_metric,
        rows=len(plan.data.validation),
        shortened=found.shortened,
        ties=found.ties,
        selection={
            "split": split,
            "rows": len(plan.data.selection),
            "metric": chosen_by,
            "value": chosen[-1][chosen_by],
        },
        best_step=best_step,
        trainable_parameters=adapted.count.trainable,
        total_parameters=adapted.count.total,
        steps=trainer.state.global_step,
        seconds=round(seconds, 3),
        peak_memory_bytes=peak_memory_bytes(),
        zeroth_order=trainer.estimator.summary(),
        data=describe_data(plan.config, plan.data),
        adapter_bytes=0,
        tokens_per_second=median_tokens_per_second(MetricsLog(run.throughput_file)),
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
    add_adapter(run)
    report = replace(report, adapter_bytes=(run.adapter / ADAPTER_WEIGHTS).stat().st_size)
    log.write_csv(run.metrics_table)
    draw_curves(
        records,
        run.curves,
        main_metric=report.main_metric,
        split=split,
        best_step=report.best_step,
        estimates=read_estimates(run.trajectory),
    )
    write_card(run, plan, adapted, report.as_json())
    write_json(run.report_file, {"schema_version": 1, **report.as_json()})
    return report
