"""Counting on a model that transformers builds without weights: every architecture, every setting."""

from __future__ import annotations

from typing import Any

from loretta_cli.config import AdapterSettings
from loretta_cli.measure.parameters import ParameterCount, count_adapter, count_base
from loretta_cli.models.forms import task_type_of
from loretta_cli.models.loading import empty_model
from loretta_cli.models.outline import Form
from loretta_cli.tuners.settings import make_peft_config
from loretta_cli.tuners.targets import insert_adapter


def count_on_empty_model(
    method: str, settings: AdapterSettings, model_config: Any, form: Form, labels: int
) -> ParameterCount:
    """The count of a method.

    Args:
        method: Its name.
        settings: Of the adapter.
        model_config: The transformers config.
        form: Which head the model has.
        labels: Labels of a classification head.

    Raises:
        LorettaError: If the settings do not fit the model.
    """
    base = empty_model(model_config, form, labels)
    total = count_base(base)
    task_type = task_type_of(form, model_config)
    settings = settings.model_copy(update={"method": method})
    peft_config = make_peft_config(settings, task_type=task_type, model_type=model_config.model_type)
    return count_adapter(insert_adapter(base, peft_config), total, model_config.model_type)
