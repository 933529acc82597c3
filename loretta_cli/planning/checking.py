"""Checking many configs, as those of a grid: what they share is read and planned once.

Data, tokenizer and config of the model are read, weights are not; no rows are kept.
"""

from __future__ import annotations

import dataclasses

from loretta_cli.config import Config
from loretta_cli.errors import ConfigError
from loretta_cli.models.loading import LoadedModel, empty_model
from loretta_cli.planning.gradients import decide_gradient
from loretta_cli.planning.plan import AdaptedModel, Plan, make_plan, put_adapter
from loretta_cli.tuners.settings import reserved_positions


def without_weights(plan: Plan) -> AdaptedModel:
    """The plan's adapter in its model, on the meta device.

    Raises:
        LorettaError: If the adapter does not fit the model.
    """
    model = empty_model(plan.model_config, plan.form.name, len(plan.labels))
    return put_adapter(plan, LoadedModel(model, ()))


class Checker:
    """Checks configs one after the other, and remembers what was found of their parts."""

    def __init__(self) -> None:
        self._plans: dict[str, Plan | Exception] = {}
        self._counts: dict[str, int | Exception] = {}

    def check(self, config: Config) -> int | Exception:
        """The trainable parameters of a config, or why it cannot be trained.

        A fault of the program is returned as well: one config of many is not to end the others.
        """
        try:
            config = decide_gradient(config)
        except ConfigError as error:
            return error
        shared = repr(_read_by_a_plan(config))
        if shared not in self._plans:
            self._plans[shared] = _attempt(config)
        plan = self._plans[shared]
        if isinstance(plan, Exception):
            return plan
        own = f"{shared} {config.adapter!r}"
        if own not in self._counts:
            asked = plan.config.model_copy(update={"adapter": config.adapter})
            self._counts[own] = _counted(dataclasses.replace(plan, config=asked))
        return self._counts[own]


def _read_by_a_plan(config: Config) -> tuple[object, ...]:
    """What a plan depends on; which rows a seed of the training draws changes none of its checks."""
    training = config.training
    warmup = training.warmup if "warmup" in training.model_fields_set else None
    reserved = reserved_positions(config.adapter)
    return (config.model, config.task, config.data, reserved, training.scheduler, warmup, training.objective)


def _attempt(config: Config) -> Plan | Exception:
    try:
        plan = make_plan(config)
        plan.form.encode(plan.data.train[:1])
    except Exception as error:
        return error
    return dataclasses.replace(
        plan, data=dataclasses.replace(plan.data, train=(), selection=(), validation=(), mismatched=())
    )


def _counted(plan: Plan) -> int | Exception:
    try:
        return without_weights(plan).count.trainable
    except Exception as error:
        return error
