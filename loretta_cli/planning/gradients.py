"""What a gradient source makes of the settings: which it does not read, and what it leaves open becomes."""

from __future__ import annotations

from typing import Any

from loretta_cli.config import Config, TrainingSettings, ZerothOrderSettings
from loretta_cli.errors import ConfigError
from loretta_cli.tasks import Task

SECOND_MOMENT = 0.99
_SCHEDULE = {"alpha": ("adazeta",), "beta": ("adazeta",), "max_queries": ("adazeta", "linear")}


def decide_gradient(config: Config) -> Config:
    """The config with preset, optimizer and clipping as the gradient source has them where nothing was said.

    Raises:
        ConfigError: If a setting is given that the source does not read.
    """
    training, adapter = config.training, config.adapter
    if training.gradient == "zo":
        _check_zeroth_order(config)
        lean = adapter.preset == "auto" and adapter.method in ("adp", "rep")
        update: dict[str, Any] = {"optimizer": training.optimizer or "sgd"}
        if lean:
            config = config.model_copy(update={"adapter": adapter.model_copy(update={"preset": "lean"})})
    else:
        _check_backprop(config)
        clip = 1.0 if training.max_grad_norm is None else training.max_grad_norm
        update = {"optimizer": training.optimizer or "adamw", "max_grad_norm": clip}
    return config.model_copy(update={"training": training.model_copy(update=update)})


def scaled_for_default_rate(config: Config) -> ZerothOrderSettings:
    """The section ``zo``, with a second moment where the default learning rate will be used.

    Slopes are of another size in every model, so only steps that are divided by it can have a default length.
    """
    training, zo = config.training, config.zo
    is_open = training.learning_rate is None and "second_moment" not in zo.model_fields_set
    if training.gradient == "zo" and training.optimizer in (None, "sgd") and is_open:
        return zo.model_copy(update={"second_moment": SECOND_MOMENT})
    return zo


def check_objective(config: Config, task: Task) -> None:
    """Refuse a metric as the objective where the task does not have it, or a batch does not.

    Raises:
        ConfigError: With the metrics that the task has.
    """
    objective = config.training.objective
    if objective == "loss":
        return
    possible = [name for name in ("accuracy", "f1", "exact_match") if name in task.metrics]
    if task.scorer == "multirc":
        possible.remove("exact_match")  # of all rows of a question, which a batch does not hold together
    if objective not in possible:
        have = f"has {' and '.join(possible)}" if possible else "has none that a batch can be scored by"
        raise ConfigError(
            f"training.objective is {objective}, but the task {task.name} {have}.",
            hint="Use training.objective=" + " or ".join((*possible, "loss")) + ".",
        )


def _check_backprop(config: Config) -> None:
    settings, objective = config.zo, config.training.objective
    if objective != "loss":
        raise ConfigError(
            f"training.objective is {objective}, which has no gradient to backpropagate.",
            hint="Add training.gradient=zo, or leave it out.",
        )
    _check_momentum(config.training, default="adamw")
    for name, field in ZerothOrderSettings.model_fields.items():
        if (value := getattr(settings, name)) != field.default:
            raise ConfigError(
                f"zo.{name} is {value}, but training.gradient=backprop does not read it.",
                hint="Add training.gradient=zo, or leave it out.",
            )


def _check_zeroth_order(config: Config) -> None:
    training, zo = config.training, config.zo
    unread = {
        "training.max_grad_norm": (training.max_grad_norm is not None, "Use zo.clip."),
        "training.gradient_checkpointing": (training.gradient_checkpointing, "There is no backward pass."),
        "training.shard_base": (training.shard_base, "Leave it out."),
        "adapter.dropout": (bool(config.adapter.dropout), "Dropout is off in zeroth-order training."),
        "zo.memory": (
            zo.memory != ZerothOrderSettings.model_fields["memory"].default
            and (zo.backend == "sequential" or trains_in_place(config)),
            "It is for zo.backend=batched.",
        ),
        "zo.normalize": (zo.normalize and zo.estimator != "one-sided", "Add zo.estimator=one-sided."),
    }
    for name, schedules in _SCHEDULE.items():
        is_given = getattr(zo, name) != ZerothOrderSettings.model_fields[name].default
        unread[f"zo.{name}"] = (
            is_given and zo.schedule not in schedules,
            f"Add zo.schedule={' or '.join(schedules)}.",
        )
    unread["zo.queries"] = (zo.schedule == "adazeta" and zo.queries != 1, "Use alpha, beta and max_queries.")
    for key, (is_wrong, hint) in unread.items():
        if is_wrong:
            raise ConfigError(f"{key} is set, but zeroth-order training does not read it here.", hint=hint)
    _check_momentum(training, default="sgd")
    if training.objective != "loss" and zo.split == "rows":
        raise ConfigError(
            f"zo.split is rows, but training.objective={training.objective} scores a batch as a whole.",
            hint="Use zo.split=queries.",
        )
    if training.objective != "loss" and zo.backend == "batched":
        raise ConfigError(
            f"zo.backend is batched, but training.objective={training.objective} is scored one by one.",
            hint="Leave zo.backend out.",
        )
    if zo.normalize and zo.schedule != "adazeta" and zo.queries == 1:
        raise ConfigError("zo.normalize needs the losses of two queries or more.", hint="Add zo.queries=8.")
    if zo.normalize and zo.schedule == "adazeta" and min(zo.alpha, zo.max_queries) < 2:
        raise ConfigError(
            "zo.normalize needs the losses of two queries or more, and the schedule adazeta begins with one.",
            hint="Use zo.schedule=constant and zo.queries=8, or set zo.alpha=2 or more.",
        )
    if zo.schedule == "linear" and zo.max_queries < zo.queries:
        raise ConfigError(
            f"zo.max_queries is {zo.max_queries}, less than zo.queries, {zo.queries}, where linear begins.",
            hint=f"Set zo.max_queries to {zo.queries} or more, or lower zo.queries.",
        )
    if trains_in_place(config):
        _check_in_place(config)


def _check_momentum(training: TrainingSettings, *, default: str) -> None:
    optimizer = training.optimizer or default
    if training.momentum is not None and optimizer != "sgd":
        raise ConfigError(
            f"training.momentum is {training.momentum:g}, but the optimizer {optimizer} does not read it.",
            hint="Add training.optimizer=sgd, or leave it out.",
        )


def trains_in_place(config: Config) -> bool:
    """Whether the base model's own weights train, without a second copy of them (MeZO, Algorithm 1)."""
    return config.adapter.method == "full" and config.training.gradient == "zo"


def _check_in_place(config: Config) -> None:
    """Refuse what would need a second copy of the weights, or more.

    Raises:
        ConfigError: With what is possible.
    """
    if config.training.optimizer not in (None, "sgd") or config.training.momentum is not None:
        name = "momentum" if config.training.momentum is not None else "optimizer"
        raise ConfigError(
            f"training.{name} is {getattr(config.training, name)}, but zeroth-order training of every weight "
            "works in place and has no room for what an optimizer remembers.",
            hint="Use training.optimizer=sgd without momentum, or another method, such as adp, rep or lora.",
        )
    if config.zo.backend == "batched":
        raise ConfigError(
            "zo.backend is batched, but zeroth-order training of every weight works in place: the model has "
            "one set of weights at a time.",
            hint="Leave zo.backend out, or use another method, such as adp, rep or lora.",
        )
