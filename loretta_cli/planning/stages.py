"""Several tasks, one after the other (LoRETTA, Table 4): a config for each, checked against each other."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from loretta_cli.config import ColumnSettings, Config, LoadedConfig
from loretta_cli.errors import ConfigError, DataError
from loretta_cli.planning.checking import without_weights
from loretta_cli.planning.dry_run import DryRun, dry_run
from loretta_cli.planning.plan import Plan, absolute_source, make_plan
from loretta_cli.tasks import OWN
from loretta_cli.tasks.own.asked import OWN_SETTINGS

_OWN_TASK_SETTINGS = [key.removeprefix("task.") for key in OWN_SETTINGS if key.startswith("task.")]


def stage_configs(config: Config) -> tuple[Config, ...]:
    """The config of each stage: one task, with its own sub-folder of the data.

    The settings of a task on the user's own columns are not those of the others beside it.

    Raises:
        DataError: If a task has no sub-folder.
    """
    names = config.task.names or []
    has_own = any(name in OWN for name in names)
    stages = []
    for name in names:
        data = config.data.model_copy(update={"source": task_source(config.data.source, name)})
        task = config.task.model_copy(update={"name": name, "names": None, "shared_head": False})
        if has_own and name not in OWN:
            data = data.model_copy(update={"columns": ColumnSettings(), "labels": None})
            task = task.model_copy(update=dict.fromkeys(_OWN_TASK_SETTINGS))
        stages.append(config.model_copy(update={"task": task, "data": data}))
    return tuple(stages)


def task_source(source: str | None, task: str) -> str | None:
    """The sub-folder of a task; None leaves each task its own data on the hub.

    Raises:
        DataError: If it is missing.
    """
    if source is None:
        return None
    folder = Path(source).expanduser()
    hint = "With several tasks, --data is a folder with a folder for each, named like the task."
    if not folder.is_dir():
        raise DataError(f"{source} is no folder.", hint=hint)
    if not (folder / task).is_dir():
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"
        raise DataError(f"{source} has no folder for the task {task}; found {found}.", hint=hint)
    return str(Path(source) / task)


def check_together(plan: Plan, first: Plan, *, shared_head: bool) -> None:
    """Refuse a stage that cannot share its adapter, or its head, with the first one.

    Raises:
        ConfigError: With what differs.
    """
    name, other = plan.data.task.name, first.data.task.name
    if (plan.form.name == "classification") != (first.form.name == "classification"):
        raise ConfigError(
            f"{other} is met in the form {first.form.name} and {name} in the form {plan.form.name}: their "
            "models differ, so they cannot share an adapter.",
            hint="Set task.form to one that all tasks have, or leave out one of the tasks.",
        )
    if not shared_head:
        return
    if plan.form.name != "classification":
        raise ConfigError(
            f"task.shared_head is set, and the form {plan.form.name} has no head.",
            hint="Remove it: the whole adapter is shared anyway.",
        )
    if len(plan.labels) != len(first.labels):
        raise ConfigError(
            f"One head for all tasks needs as many labels in each: {other} has {len(first.labels)} and "
            f"{name} has {len(plan.labels)}.",
            hint="Leave task.shared_head out: each task then has a head of its own.",
        )


def plan_stages(config: Config) -> tuple[Plan, ...]:
    """The plans of all stages.

    Raises:
        LorettaError: If a stage could not be trained, or does not go with the others.
    """
    plans: list[Plan] = []
    for stage in stage_configs(config):
        plans.append(make_plan(stage))
        check_together(plans[-1], plans[0], shared_head=config.task.shared_head)
    return tuple(plans)


def resolved_sequence(config: Config, first: Plan) -> Config:
    """The config with all filled in that the stages have in common.

    Args:
        config: What was asked.
        first: The plan of the first stage.
    """
    adapted = without_weights(first)
    data = {"source": absolute_source(config.data.source)}
    common = {name: getattr(adapted.config, name) for name in ("model", "adapter", "training")}
    return config.model_copy(update={**common, "data": config.data.model_copy(update=data)})


def dry_run_stages(loaded: LoadedConfig) -> tuple[dict[str, Any], tuple[DryRun, ...]]:
    """Resolve every stage as ``train`` would.

    Returns:
        The config of the whole, resolved, and what would run in each stage.

    Raises:
        LorettaError: As ``train`` would.
    """
    plans = plan_stages(loaded.config)
    stages = tuple(dry_run(dataclasses.replace(loaded, config=plan.config), plan) for plan in plans)
    return resolved_sequence(loaded.config, plans[0]).model_dump(), stages
