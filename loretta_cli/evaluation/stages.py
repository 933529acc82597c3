"""Evaluating one adapter on several tasks, on each with the head that belongs to it."""

from __future__ import annotations

from loretta_cli.artifacts.base_location import check_base_is_there
from loretta_cli.artifacts.restore import load_adapter
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.evaluation.run import EvaluationResult, evaluate_plan
from loretta_cli.planning.plan import Plan, make_plan, split_rows
from loretta_cli.planning.stages import task_source
from loretta_cli.processes import connect, disconnect


def has_own_heads(run: RunFolder, form: str) -> bool:
    """Whether each task of a run of several has a classification head of its own."""
    return form == "classification" and not run.read_config().task.shared_head


def evaluate_stages(
    run: RunFolder, *, data: str | None, split: str, rows: int | None
) -> list[EvaluationResult]:
    """Evaluate the final adapter of a run of several tasks on all of them.

    Args:
        run: The finished run.
        data: Another folder with a sub-folder for each task.
        split: ``train``, ``validation`` or ``test``.
        rows: At most so many rows of each.

    Raises:
        DataError: If a task has no sub-folder.
    """
    connect()
    check_base_is_there(run)
    results = []
    for stage in run.stages:
        config = stage.read_config()
        source = task_source(data, config.task.name or "")
        plan = make_plan(config, split_rows(config, data=source, split=split, rows=rows))
        head = stage if has_own_heads(run, plan.form.name) else None
        results.append(evaluate_shared(plan, run, own=head, split=split))
    disconnect()
    return results


def evaluate_shared(plan: Plan, shared: RunFolder, *, own: RunFolder | None, split: str) -> EvaluationResult:
    """Evaluate the adapter of one run on the task of another.

    Args:
        plan: Of the task; the rows stand in ``plan.data.validation``.
        shared: The run whose adapter is evaluated.
        own: The run that has the task's own head; None where there is one head for all, or none.
        split: What the rows are called.
    """
    model = load_adapter(plan, shared) if own is None else load_adapter(plan, own, shared=shared)
    return evaluate_plan(plan, model, split)
