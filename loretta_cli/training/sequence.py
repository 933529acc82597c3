"""Several tasks, one after the other (LoRETTA, Table 4): one adapter, and what it forgets.

Each stage is an ordinary run that starts from the adapter of the one before. A task has a classification head
of its own, or all share one, as in the paper, where the labels of one task then overwrite those of another.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loretta_cli.artifacts.files import explained, new_folder, write_json, write_text
from loretta_cli.artifacts.metrics_log import MetricsLog
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.artifacts.sequence_card import EXPLAINED, write_sequence_card
from loretta_cli.config import Config
from loretta_cli.evaluation.forgetting import Forgetting, TaskCourse, followed_metric, majority_score
from loretta_cli.evaluation.metrics import LOWER_IS_BETTER
from loretta_cli.evaluation.stages import evaluate_shared, has_own_heads
from loretta_cli.measure.environment import describe_environment
from loretta_cli.planning.plan import Plan
from loretta_cli.planning.stages import plan_stages, resolved_sequence, stage_configs
from loretta_cli.processes import from_first, processes
from loretta_cli.report import Reporter
from loretta_cli.report.forgetting_figure import TaskLine, draw_forgetting
from loretta_cli.report.table_files import csv_table, markdown_table
from loretta_cli.training.run import connected, create_together, held, train_one

MEAN = "mean_over_tasks"
"""Among the metrics of a run of several tasks: the mean of all their scores after the last stage."""


def train_sequence(
    config: Config,
    folder: Path,
    reporter: Reporter,
    *,
    resume: bool = False,
    overwrite: bool = False,
    origins: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Train one adapter on several tasks, one after the other, and evaluate it on all of them after each.

    Args:
        config: What was asked, with ``task.names``; with ``resume``, the run's own config.
        folder: The run folder, new or to be resumed.
        reporter: Hears of everything.
        resume: Go on with the stage that was interrupted.
        overwrite: Replace a run that is there.
        origins: Where each given value was given, by dotted key; recorded in a new run.

    Returns:
        The report: that of the last stage, ``metrics`` with the mean over the tasks, ``stages`` (the report
        of each) and ``forgetting``.

    Raises:
        LorettaError: Of the kind of whatever is wrong.
    """
    with connected():
        folder = from_first(folder)
        plans = plan_stages(config)
        if resume:
            run = RunFolder(folder)
        else:
            resolved = resolved_sequence(config, plans[0])
            run = create_together(folder, resolved, overwrite=overwrite, origins=origins)
        with explained(folder), held(run):
            return _Sequence(run, [_without_training_rows(plan) for plan in plans], reporter).train()


def _line(task: TaskCourse) -> TaskLine:
    """The line of a task in the picture: percent, where a score is a share or a correlation."""
    is_share = task.metric not in LOWER_IS_BETTER
    factor, unit = (100, ", %") if is_share else (1, "")
    values = [None if value is None else factor * value for value in (*task.scores, task.majority)]
    score = f"{task.metric.replace('_', ' ')}{unit}"
    return TaskLine(task.task, score, task.stage, values[:-1], values[-1])


def _without_training_rows(plan: Plan) -> Plan:
    return dataclasses.replace(plan, data=dataclasses.replace(plan.data, train=(), selection=()))


@dataclass(frozen=True, slots=True)
class _Sequence:
    """The run of several tasks, with the plan of each for its evaluations."""

    run: RunFolder
    plans: Sequence[Plan]
    reporter: Reporter

    @property
    def own_heads(self) -> bool:
        """Whether each task has a head of its own."""
        return has_own_heads(self.run, self.plans[0].form.name)

    def train(self) -> dict[str, Any]:
        """Train and evaluate what is not done yet, and write everything."""
        log = MetricsLog(self.run.metrics_file)
        if processes().is_first:
            write_json(self.run.environment_file, describe_environment())
        evaluated = from_first(len(log.read()))
        reports: list[dict[str, Any]] = []
        for number, config in enumerate(stage_configs(self.run.read_config())):
            self.reporter.note(f"stage {number + 1} of {len(self.plans)}: {config.task.name}")
            reports.append(self._train_stage(number, config))
            if number >= evaluated:
                values = self._evaluate_all(number, reports[-1]["metrics"])
                if processes().is_first:
                    log.append(sum(report["steps"] for report in reports), "validation", values)
        finished = self._finish(log, reports) if processes().is_first else None
        report = from_first(finished)
        assert report is not None
        return report

    def _train_stage(self, number: int, config: Config) -> dict[str, Any]:
        """The report of a stage, trained as far as it is not."""
        stage = self.run.stages[number]
        if not from_first(stage.finished):
            begun = from_first(stage.config_file.is_file())
            train_one(
                stage.read_config() if begun else config,
                stage.path,
                self.reporter,
                resume=begun,
                start_from=self.run.stages[number - 1].adapter if number else None,
                start_with_head=not self.own_heads,
            )
            # Trainer and its callbacks hold each other, and with them the model.
            gc.collect()
        return {name: value for name, value in stage.read_report().items() if name != "schema_version"}

    def _evaluate_all(self, number: int, own_metrics: Mapping[str, float]) -> dict[str, float]:
        """The metrics of all tasks after a stage, by ``task/metric``; without a head, a task has none."""
        values: dict[str, float] = {}
        for other, plan in enumerate(self.plans):
            stage, task = self.run.stages[other], plan.data.task
            if other == number:
                metrics = own_metrics
            elif other < number or not self.own_heads:
                head = stage if self.own_heads else None
                shared = self.run.stages[number]
                metrics = evaluate_shared(plan, shared, own=head, split="validation").metrics
            else:
                continue
            values |= {f"{task.name}/{name}": value for name, value in metrics.items()}
            metric = followed_metric(task)
            self.reporter.note(f"after stage {number + 1}: {task.name} {metric} {metrics[metric]:.4f}")
        return values

    def _finish(self, log: MetricsLog, reports: list[dict[str, Any]]) -> dict[str, Any]:
        """Write the final adapter and everything that describes the run."""
        run, last = self.run, reports[-1]
        forgetting = self._forgetting(log.read())
        with new_folder(run.adapter, replace=True) as adapter:
            shutil.copytree(run.last_stage.adapter, adapter, dirs_exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # of a stage that an earlier version trained
            shutil.copy2(run.last_stage.fingerprints_file, run.fingerprints_file)
        log.write_csv(run.metrics_table)
        table = markdown_table(forgetting.columns, forgetting.cells())
        write_text(run.forgetting, f"{table}\n{EXPLAINED}")
        rows = [[name, *values] for name, values in forgetting.rows()]
        write_text(run.forgetting.with_suffix(".csv"), csv_table(forgetting.columns, rows))
        draw_forgetting(
            list(map(_line, forgetting.tasks)), forgetting.stages, run.forgetting.with_suffix(".png")
        )
        parameters = (last["trainable_parameters"], last["total_parameters"])
        write_sequence_card(run, table, parameters, own_heads=self.own_heads)
        report = {
            **last,
            "run": str(run.path),
            "metrics": {**last["metrics"], MEAN: forgetting.mean_final},
            "stages": reports,
            "forgetting": forgetting.as_json(),
        }
        write_json(run.report_file, {"schema_version": 1, **report})
        return report

    def _forgetting(self, records: Sequence[Mapping[str, Any]]) -> Forgetting:
        """The scores in the log, one record a stage."""
        courses = []
        for number, plan in enumerate(self.plans):
            task = plan.data.task
            metric = followed_metric(task)
            scores = tuple(record.get(f"{task.name}/{metric}") for record in records)
            majority = majority_score(task, plan.data.validation)
            courses.append(TaskCourse(task.name, metric, number, majority, scores))
        return Forgetting(tuple(stage.path.name for stage in self.run.stages), tuple(courses))
