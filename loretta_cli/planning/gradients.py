"""What a gradient source makes of the settings: which it does not read, and what it leaves open becomes."""

from __future__ import annotations

from typing import Any

from loretta_cli.config import Config, ZerothOrderSettings
from loretta_cli.errors import ConfigError

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
        _check_backprop(config.zo)
        clip = 1.0 if training.max_grad_norm is None else training.max_grad_norm
        update = {"optimizer": training.optimizer or "adamw", "max_grad_norm": clip}
    return config.model_copy(update={"training": training.model_copy(update=update)})


def _check_backprop(settings: ZerothOrderSettings) -> None:
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
    if zo.normalize and zo.schedule == "constant" and zo.queries == 1:
        raise ConfigError("zo.normalize needs the losses of two queries or more.", hint="Add zo.queries=8.")
    if zo.schedule == "linear" and zo.max_queries < zo.queries:
        raise ConfigError(
            f"zo.max_queries is {zo.max_queries}, less than zo.queries, {zo.queries}, where linear begins."
        )
    if config.adapter.method == "full":
        raise ConfigError(
            "Zeroth-order training of every weight is not part of this version.",
            hint="Use another method, such as adp, rep or lora.",
        )
