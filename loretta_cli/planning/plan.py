"""The plan: what a config resolves to, before anything is trained or written.

``Config`` (what was asked) becomes a :class:`Plan` (model, task, form, data, all decided) and, with the
model loaded and the adapter put in, an :class:`AdaptedModel` with the resolved config: every value that
was left open is filled in, so that a run's ``config.yaml`` says what was done.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import set_seed

from loretta_cli.config import Config, TrainingSettings
from loretta_cli.errors import ConfigError, ModelError
from loretta_cli.measure.parameters import ParameterCount, count_adapter, count_base
from loretta_cli.methods import training_defaults
from loretta_cli.models.forms import choose_form, decoder_start_token, task_type_of
from loretta_cli.models.gguf_loading import check_not_quantised_again
from loretta_cli.models.loading import (
    LoadedModel,
    choose_dtype,
    load_config,
    load_model,
    load_tokenizer,
)
from loretta_cli.models.quantization import (
    Quantization,
    dequantize,
    kept_modules,
    quantizer_settings,
    resolve_quantization,
    stored_quantization,
)
from loretta_cli.models.source import ModelSource, find_model
from loretta_cli.planning.gradients import (
    check_objective,
    decide_gradient,
    scaled_for_default_rate,
    trains_in_place,
)
from loretta_cli.tasks import OWN
from loretta_cli.tasks.forms import TaskForm, longest_row, make_form, usual_length
from loretta_cli.tasks.preparation import TaskData, prepare_split, prepare_task
from loretta_cli.tasks.protocols import most_reported
from loretta_cli.tasks.wording import check_read, chosen_cut
from loretta_cli.tuners.selected import SelectedConfig
from loretta_cli.tuners.settings import make_peft_config, reserved_positions, settings_of
from loretta_cli.tuners.targets import insert_adapter


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything decided, nothing loaded but config, tokenizer and rows.

    Args:
        config: The config with model, data, form and training values filled in.
        source: Where the base model is.
        model_config: Its transformers config.
        form: The task's form with the tokenizer.
        data: The task and its checked examples.
    """

    config: Config
    source: ModelSource
    model_config: Any
    form: TaskForm
    data: TaskData

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the outputs of a classification head: the task's labels, or its one score."""
        return self.data.task.outputs

    @property
    def task_type(self) -> str | None:
        """PEFT's task type."""
        return task_type_of(self.form.name, self.model_config)


@dataclass(frozen=True, slots=True)
class AdaptedModel:
    """A base model with a new adapter.

    Args:
        model: The PEFT model.
        config: The plan's config with the adapter's settings filled in.
        count: What trains.
    """

    model: PeftModel
    config: Config
    count: ParameterCount


def make_plan(config: Config, data: TaskData | None = None) -> Plan:
    """Decide everything that a config left open, and read and check the data.

    Args:
        config: What was asked.
        data: The task's rows, where they are read already (an evaluation reads one split only).

    Raises:
        ConfigError: If the model or the task is missing.
        DataError: If a row is wrong.
        ModelError: If the model cannot be read.
    """
    model, task = config.model, config.task
    if model.name is None or task.name is None:
        missing = "model" if model.name is None else "task"
        raise ConfigError(
            f"No {missing} is given.", hint=f"Add --{missing} NAME, or {missing}.name in a recipe."
        )
    _check_warmup(config.training)
    config = decide_gradient(config)
    source = find_model(model.name)
    check_not_quantised_again(source, model.quantization)
    data = data or prepare_task(task, config.data, seed=data_seed(config))
    check_objective(config, data.task)
    model_config = load_config(source, revision=model.revision, trust_remote_code=model.trust_remote_code)
    quantization = resolve_quantization(model.quantization, model_config, source.name)
    tokenizer = load_tokenizer(source, revision=model.revision, trust_remote_code=model.trust_remote_code)
    form_name = choose_form(task.form, model_config, data.task.forms)
    check_read(task, form_name)
    reserved = reserved_positions(config.adapter)
    asked = config.data.max_length or usual_length(form_name, data.task)
    longest = longest_row(asked, model_config, reserved)
    form = make_form(
        form_name,
        data.task,
        tokenizer,
        longest,
        decoder_start=decoder_start_token(model_config),
        calibrated=task.calibration,
    )
    if (config.data.max_length or 0) > form.max_length:
        note = f"data.max_length is {config.data.max_length}; the model has {form.max_length} positions"
        data = dataclasses.replace(data, notes=(*data.notes, note))
    decided = _decided(config, form, data, source, quantization)
    return Plan(decided, source, model_config, form, data)


def data_seed(config: Config) -> int:
    """The seed of the choice of rows."""
    return config.training.seed if config.data.seed is None else config.data.seed


def _check_warmup(training: TrainingSettings) -> None:
    """Refuse a warm-up of a schedule that has none.

    Raises:
        ConfigError: Naming the schedule that has one.
    """
    asked = "warmup" in training.model_fields_set and training.warmup
    if training.scheduler == "constant" and asked:
        raise ConfigError(
            f"training.warmup is {training.warmup:g}, but the scheduler 'constant' has no warm-up.",
            hint="Use training.scheduler=constant_with_warmup.",
        )


def split_rows(
    config: Config, *, split: str, rows: int | None, data: str | None = None, whole_file: bool = False
) -> TaskData:
    """The rows of one split, of the validation splits those that a training would report.

    Args:
        config: Of a run, or what was asked.
        split: Which one.
        rows: At most so many.
        data: Another source than the config's, of which all rows count.
        whole_file: Nothing is held out of a source that is one file; so it is with another source.
    """
    settings = config.data if data is None else config.data.model_copy(update={"source": data})
    if rows is None and data is None and split.startswith("validation"):
        rows = most_reported(settings)
    return prepare_split(
        config.task,
        settings,
        split,
        rows=rows,
        seed=data_seed(config),
        whole_file=whole_file or data is not None,
    )


def load_base(plan: Plan, *, plain: bool = False) -> LoadedModel:
    """Load the plan's base model; a new head is drawn from the run's seed.

    Args:
        plan: The plan.
        plain: Undo a quantisation after loading: ordinary layers with the numbers that the quantised ones
            stand for.

    Raises:
        ModelError: If it cannot be read, or its checkpoint has no output layer that the form needs.
    """
    settings = plan.config.model
    set_seed(plan.config.training.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = choose_dtype(settings.dtype, plan.model_config, device)
    quantizer = None
    if settings.quantization is not None and stored_quantization(plan.model_config) is None:
        kept = kept_modules(plan.model_config.model_type)
        quantizer = quantizer_settings(settings.quantization, dtype, kept)
    base = load_model(
        plan.source,
        plan.form.name,
        labels=plan.labels,
        dtype=dtype,
        quantizer=quantizer,
        revision=settings.revision,
        trust_remote_code=settings.trust_remote_code,
        pad_token_id=plan.form.tokenizer.pad_token_id,
    )
    if plan.form.name != "classification" and base.new_modules:
        masked = "masked " if plan.form.name == "masked" else ""
        raise ModelError(
            f"The checkpoint of {settings.name} is no {masked}language model: it has no weights for "
            f"{', '.join(base.new_modules[:3])}.",
            hint="Use --set task.form=classification, or another model.",
        )
    if plain and settings.quantization is not None:
        dequantize(base.model)
    return base


def put_adapter(plan: Plan, base: LoadedModel) -> AdaptedModel:
    """Put a new adapter into a base model and fill its settings into the config."""
    total = count_base(base.model)
    model_type = plan.model_config.model_type
    peft_config = make_peft_config(
        plan.config.adapter,
        task_type=plan.task_type,
        model_type=model_type,
        new_modules=base.new_modules,
    )
    if isinstance(peft_config, SelectedConfig) and trains_in_place(plan.config):
        peft_config.in_place = True
    set_seed(plan.config.training.seed)
    model = insert_adapter(base.model, peft_config)
    adapter = plan.config.adapter.model_copy(update=settings_of(plan.config.adapter.method, peft_config))
    config = plan.config.model_copy(update={"adapter": adapter})
    return AdaptedModel(model, config, count_adapter(model, total, model_type))


def _decided(
    config: Config, form: TaskForm, data: TaskData, source: ModelSource, quantization: Quantization | None
) -> Config:
    """The config with everything filled in that does not need the model's weights."""
    training, task = config.training, data.task
    defaults = training_defaults(config.adapter.method, training.gradient)
    is_own = config.task.name in OWN
    budget_alone = config.zo.max_forward_passes is not None and training.max_steps is None
    return config.model_copy(
        update={
            "model": config.model.model_copy(
                update={
                    "name": source.name if source.name.startswith("bundled:") else source.location,
                    "quantization": quantization,
                }
            ),
            "task": config.task.model_copy(
                update={"form": form.name, "cut": chosen_cut(task, config.task, form.name)}
            ),
            "data": config.data.model_copy(
                update={
                    "source": absolute_source(config.data.source),
                    "max_length": form.max_length,
                    "validation_rows": most_reported(config.data),
                    "columns": config.data.columns.model_copy(update=task.roles),
                    "labels": list(task.labels) or None if is_own else None,
                }
            ),
            "zo": scaled_for_default_rate(config),
            "training": training.model_copy(
                update={
                    "learning_rate": training.learning_rate or defaults.learning_rate,
                    # Where nothing but a budget of forward passes is given, it alone says how long.
                    "epochs": training.epochs or (None if budget_alone else defaults.epochs),
                    "warmup": 0.0 if training.scheduler == "constant" else training.warmup,
                }
            ),
        }
    )


def absolute_source(source: str | None) -> str | None:
    """A local data path from anywhere; other sources as they are."""
    if source is None or source.startswith("bundled:"):
        return source
    path = Path(os.path.expanduser(source))
    return str(path.resolve()) if path.exists() else source
