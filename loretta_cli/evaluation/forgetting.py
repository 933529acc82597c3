"""What a model forgets when it learns one task after the other: the scores of all after each stage.

Imports no torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from loretta_cli.evaluation.metrics import LOWER_IS_BETTER, compute_metrics
from loretta_cli.tasks import Example, Task


@dataclass(frozen=True, slots=True)
class TaskCourse:
    """The score of one task on its validation rows, after each stage.

    Args:
        task: Its name.
        metric: What is scored.
        stage: The number of its own stage, from 0.
        majority: The score of always saying the commonest label; None of what is no classification.
        scores: One a stage; None where the task was not evaluated.
    """

    task: str
    metric: str
    stage: int
    majority: float | None
    scores: tuple[float | None, ...]

    @property
    def final(self) -> float | None:
        """The score after the last stage."""
        return self.scores[-1]

    @property
    def best_earlier(self) -> float | None:
        """The best score from the task's own stage on, before the last stage."""
        earlier = [score for score in self.scores[self.stage : -1] if score is not None]
        best = min if self.metric in LOWER_IS_BETTER else max
        return best(earlier) if earlier else None

    @property
    def forgetting(self) -> float | None:
        """What was lost of the best score; below 0 where something was won. None of the last task."""
        if self.best_earlier is None or self.final is None:
            return None
        lost = self.best_earlier - self.final
        return -lost if self.metric in LOWER_IS_BETTER else lost


@dataclass(frozen=True, slots=True)
class Forgetting:
    """The scores of all tasks over all stages.

    Args:
        stages: Names of the stages.
        tasks: In the order of their stages.
    """

    stages: tuple[str, ...]
    tasks: tuple[TaskCourse, ...]

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Forgetting:
        """What :meth:`as_json` made."""
        tasks = (
            TaskCourse(task["task"], task["metric"], number, task["majority"], tuple(task["scores"]))
            for number, task in enumerate(document["tasks"])
        )
        return cls(tuple(document["stages"]), tuple(tasks))

    @property
    def mean_final(self) -> float | None:
        """The mean of the scores after the last stage."""
        return _mean([task.final for task in self.tasks])

    @property
    def mean_forgetting(self) -> float | None:
        """The mean over the tasks that were followed by another."""
        return _mean([task.forgetting for task in self.tasks if task.stage < len(self.stages) - 1])

    @property
    def columns(self) -> tuple[str, ...]:
        """Heads of the table."""
        return ("", *(f"{task.task} ({task.metric})" for task in self.tasks), "mean")

    def rows(self) -> list[tuple[str, tuple[float | None, ...]]]:
        """Rows of the table; the last cell is the mean, where every task has a value."""
        scores = [
            (f"after {stage}", [task.scores[number] for task in self.tasks])
            for number, stage in enumerate(self.stages)
        ]
        scores.append(("majority class", [task.majority for task in self.tasks]))
        lost = (*(task.forgetting for task in self.tasks), self.mean_forgetting)
        return [*((name, (*values, _mean(values))) for name, values in scores), ("forgetting", lost)]

    def cells(self) -> list[tuple[str, ...]]:
        """Rows of the table as text."""
        return [(name, *map(_shown, values)) for name, values in self.rows()]

    def as_json(self) -> dict[str, Any]:
        """For ``report.json`` and ``train --json``."""
        return {
            "stages": list(self.stages),
            "tasks": [
                {
                    "task": task.task,
                    "metric": task.metric,
                    "majority": task.majority,
                    "scores": list(task.scores),
                    "best_earlier": task.best_earlier,
                    "final": task.final,
                    "forgetting": task.forgetting,
                }
                for task in self.tasks
            ],
            "mean_final": self.mean_final,
            "mean_forgetting": self.mean_forgetting,
        }


def followed_metric(task: Task) -> str:
    """The metric that is followed: accuracy where the task has it (LoRETTA, Table 4), else the main one."""
    return "accuracy" if "accuracy" in task.metrics else task.main_metric


def majority_score(task: Task, examples: Sequence[Example]) -> float | None:
    """The score of always saying the label that most rows have; None of other kinds of task."""
    if task.kind != "classification":
        return None
    ((commonest, _),) = Counter(int(example.label) for example in examples).most_common(1)
    return compute_metrics(task, examples, [commonest] * len(examples), loss=0.0)[followed_metric(task)]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
