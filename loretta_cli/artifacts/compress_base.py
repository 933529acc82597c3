"""The base model that a LoRA stands on, with the task that it is scored on if there is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from loretta_cli.artifacts.identity import Note, check_base, load_checked_base
from loretta_cli.artifacts.lora_source import LoraSource
from loretta_cli.config import Config
from loretta_cli.errors import ConfigError
from loretta_cli.models.families import Form, family_of
from loretta_cli.models.forms import choose_form
from loretta_cli.models.loading import LoadedModel, choose_dtype, load_config, load_model
from loretta_cli.models.quantization import UNKNOWN_HEAD
from loretta_cli.models.source import ModelSource, find_model
from loretta_cli.numerals import counted
from loretta_cli.planning.plan import Plan, load_base, make_plan, split_rows
from loretta_cli.tuners.rep.as_lora import PREFIX

_FORMS: Mapping[str | None, Form | None] = {
    "SEQ_CLS": "classification",
    "CAUSAL_LM": "prompt",
    "SEQ_2_SEQ_LM": "prompt",
    None: None,
}
"""PEFT's task types, and the form of a model for each; None is left to the model's class."""
_CLASSES: Mapping[str, Form] = {
    "ForMaskedLM": "masked",
    "ForSequenceClassification": "classification",
    "ForCausalLM": "prompt",
    "LMHeadModel": "prompt",
    "ForConditionalGeneration": "prompt",
}
"""Ends of names of transformers' classes, and the form of a model for each."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A base model that can be loaded as often as an adapter is to be put on it.

    Args:
        source: Where it is.
        model_config: Its transformers config.
        form: How it is used.
        labels: Names of its outputs, for a classification head.
        load: Loads it.
        plan: With a task: the plan, whose validation rows are those to score on.
    """

    source: ModelSource
    model_config: Any
    form: Form
    labels: tuple[str, ...]
    load: Callable[[], LoadedModel]
    plan: Plan | None


def form_of(source: LoraSource) -> Form | None:
    """The form of the model that a LoRA was trained on, by its task type, or else by the class PEFT noted.

    Raises:
        ConfigError: For a task type without a form.
    """
    kind: Any = source.config.task_type
    name = getattr(kind, "value", kind)
    if name not in _FORMS:
        raise ConfigError(
            f"The LoRA is for the task type {name}.",
            hint="Expected SEQ_CLS, CAUSAL_LM, SEQ_2_SEQ_LM, or none, in its adapter_config.json.",
        )
    noted = (source.config.auto_mapping or {}).get("base_model_class") or ""
    return _FORMS[name] or next((form for end, form in _CLASSES.items() if noted.endswith(end)), None)


def prepare_bench(
    config: Config, source: LoraSource, *, data: str | None, rows: int | None, note: Note
) -> Bench:
    """Decide on the base model, and read the task's rows if there is a task.

    Args:
        config: With the base model's name, and the task's.
        source: The LoRA.
        data: Rows to score on, if not the config's.
        rows: At most so many.
        note: Told what could not be checked.

    Raises:
        LorettaError: If model or rows cannot be read, or the base is not that of the run.
    """
    if config.task.name is None:
        return _without_task(config, source)
    read = split_rows(config, data=data, split="validation", rows=rows, whole_file=source.run is None)
    plan = make_plan(config, read)
    if source.run is None and plan.form.name == "classification":
        _check_outputs(source, plan)
    load = partial(load_base, plan)
    if source.run is not None and plan.source.is_local:
        check_base(plan, source.run, note=note)
    elif source.run is not None:
        load = partial(load_checked_base, plan, source.run, note=note)  # what is to be checked is downloaded
    return Bench(plan.source, plan.model_config, plan.form.name, plan.labels, load, plan)


def _without_task(config: Config, source: LoraSource) -> Bench:
    settings = config.model
    found = find_model(settings.name or "")
    model_config = load_config(
        found, revision=settings.revision, trust_remote_code=settings.trust_remote_code
    )
    form = form_of(source) or choose_form("auto", model_config)
    labels = tuple(f"LABEL_{number}" for number in range(_outputs(source, model_config)))
    load = partial(
        load_model,
        found,
        form,
        labels=labels if form == "classification" else (),
        dtype=choose_dtype(settings.dtype, model_config, torch.device("cpu")),
        revision=settings.revision,
        trust_remote_code=settings.trust_remote_code,
    )
    return Bench(found, model_config, form, labels, load, None)


def _check_outputs(source: LoraSource, plan: Plan) -> None:
    """Refuse a task that a LoRA's classification head was not trained on.

    Raises:
        ConfigError: With both numbers.
    """
    has, wants = _head_outputs(source, plan.model_config), len(plan.labels)
    if has is not None and has != wants:
        raise ConfigError(
            f"The classification head of the LoRA has {counted(has, 'output')}, and the task "
            f"{plan.data.task.name} has {counted(wants, 'label')}.",
            hint="Give the task that it was trained on.",
        )


def _outputs(source: LoraSource, model_config: Any) -> int:
    """How many outputs the classification head of a LoRA has; those of the base model where it has none."""
    has = _head_outputs(source, model_config)
    return int(model_config.num_labels) if has is None else has


def _head_outputs(source: LoraSource, model_config: Any) -> int | None:
    family = family_of(model_config.model_type)
    names = (family.head.output,) if family is not None else UNKNOWN_HEAD
    for key, tensor in source.saved.items():
        if any(key.endswith(f".{name}.weight") for name in names):
            return len(tensor)
    return None


def random_modules(base: LoadedModel, source: LoraSource) -> list[str]:
    """Modules of which neither a base model nor a LoRA has weights, so that they are random at each loading.

    Args:
        base: The base model.
        source: The LoRA.
    """
    names = [key.removeprefix(PREFIX) for key in source.saved]
    return [one for one in base.new_modules if not any(name.startswith(f"{one}.") for name in names)]
