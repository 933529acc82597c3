"""Counting on a model that transformers builds without weights: every architecture, every setting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from peft.tuners.tuners_utils import _get_in_out_features
from torch import nn
from transformers.pytorch_utils import Conv1D

from loretta_cli.config import AdapterSettings
from loretta_cli.errors import ConfigError, ModelError
from loretta_cli.measure.baselines import BASELINES, READS, count_baseline
from loretta_cli.measure.parameters import FLOAT32_BYTES, NO_PARTS, ParameterCount, count_adapter, count_base
from loretta_cli.measure.subject import Subject
from loretta_cli.models.families import family_of
from loretta_cli.models.forms import task_type_of
from loretta_cli.models.loading import empty_model
from loretta_cli.models.outline import Form, ModuleOutline
from loretta_cli.tuners.settings import make_peft_config
from loretta_cli.tuners.targets import insert_adapter


def count_on_empty_model(
    method: str, settings: AdapterSettings, model_config: Any, form: Form, labels: int
) -> ParameterCount:
    """The count of a method.

    Args:
        method: Its name; one of those that are only counted, too.
        settings: Of the adapter.
        model_config: The transformers config.
        form: Which head the model has.
        labels: Labels of a classification head.

    Raises:
        LorettaError: If the settings do not fit the model.
    """
    base = empty_model(model_config, form, labels)
    total = count_base(base)
    if method in BASELINES and method != "lora":
        return _baseline(method, settings, base, form)
    task_type = task_type_of(form, model_config)
    peft_config = make_peft_config(settings, task_type=task_type, model_type=model_config.model_type)
    return count_adapter(insert_adapter(base, peft_config), total, model_config.model_type)


def _baseline(method: str, settings: AdapterSettings, model: Any, form: Form) -> ParameterCount:
    """A formula on the modules of the model, where no formula knows the family's modules without it."""
    family = family_of(model.config.model_type)
    total = count_base(model)
    _check_settings(method, settings)
    if method == "full":
        return ParameterCount(total, total, {**NO_PARTS, "base": total}, FLOAT32_BYTES * total, 0)
    if family is None:
        raise ModelError(
            f"The model family {model.config.model_type!r} is not known, so it is not known where {method} "
            "stands.",
            hint="Count adp, rep or lora with adapter.target_modules, or full.",
        )
    subject = Subject(family, model.config.to_dict(), form, tuple(_modules(model)))
    count = count_baseline(method, settings, subject)
    if count is None:
        targets = settings.target_modules
        chosen = f" with adapter.target_modules={targets}" if targets else ""
        raise ModelError(
            f"{method} has nothing to train on {family.name}{chosen}.",
            hint="Name linear layers of the model, outside its head."
            if targets
            else "Choose another method.",
        )
    return count


def _check_settings(method: str, settings: AdapterSettings) -> None:
    """Refuse settings that the formula of a method would not read."""
    reads = READS.get(method, frozenset())
    if ignored := sorted(settings.given.keys() - reads):
        raise ConfigError(
            f"{method} is only counted, and its count does not have the setting adapter.{ignored[0]}.",
            hint=f"Remove it. {method} has: {', '.join(sorted(reads)) or 'no settings'}.",
        )
    if isinstance(settings.target_modules, str):
        raise ConfigError(
            f"{method} is only counted, and its count reads adapter.target_modules as a list of names, found "
            f"{settings.target_modules!r}.",
            hint="Write adapter.target_modules=[name, name].",
        )


def _modules(model: nn.Module) -> Iterator[ModuleOutline]:
    """The modules of a model that hold parameters of their own."""
    tied: set[int] = set()
    for name, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if not own:
            continue
        numbers = sum(value.numel() for value in own.values() if id(value) not in tied)
        tied.update(map(id, own.values()))
        biases = sum(value.numel() for part, value in own.items() if part.endswith("bias"))
        if isinstance(module, (nn.Linear, Conv1D)):
            inner, outer = _get_in_out_features(module)
            yield ModuleOutline(name, "linear", numbers, int(inner or 0), int(outer or 0), biases)
        else:
            yield ModuleOutline(name, "other", numbers, biases=biases)
