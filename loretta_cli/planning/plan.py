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
from peft import LoraConfig, PeftModel
from transformers import set_seed

from loretta_cli.config import Config, TrainingSettings
from loretta_cli.errors import ConfigError, ModelError
from loretta_cli.measure.parameters import ParameterCount, count_adapter, count_base
from loretta_cli.methods import training_defaults
from loretta_cli.models.forms import choose_form, decoder_start_token
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
from loretta_cli.tasks import CUSTOM
from loretta_cli.tasks.forms import TaskForm, longest_row
from loretta_cli.tasks.preparation import TaskData, prepare_split, prepare_task
from loretta_cli.tuners.settings import make_peft_config
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
        """The task's label names."""
        return self.data.task.labels


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
    source = find_model(model.name)
    data = data or prepare_task(task.name, config.data, seed=config.training.seed)
    model_config = load_config(source, revision=model.revision, trust_remote_code=model.trust_remote_code)
    quantization = resolve_quantization(model.quantization, model_config, source.name)
    tokenizer = load_tokenizer(source, revision=model.revision, trust_remote_code=model.trust_remote_code)
    form_name = choose_form(task.form, model_config)
    longest = longest_row(form_name, config.data.max_length, model_config)
    form = TaskForm(form_name, tokenizer, longest, decoder_start_token(model_config))
    if (config.data.max_length or 0) > form.max_length:
        note = f"data.max_length is {config.data.max_length}; the model has {form.max_length} positions"
        data = dataclasses.replace(data, notes=(*data.notes, note))
    decided = _decided(config, form, data, source, quantization)
    return Plan(decided, source, model_config, form, data)


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


def split_rows(config: Config, *, data: str | None, split: str, rows: int | None) -> TaskData:
    """The rows of one split for a run's task."""
    settings = config.data if data is None else config.data.model_copy(update={"source": data})
    limit = settings.validation_rows if rows is None and data is None and split == "validation" else rows
    return prepare_split(
        config.task.name or "",
        settings,
        split,
        rows=limit,
        seed=config.training.seed,
        whole_file=data is not None,
    )


def load_base(plan: Plan, *, plain: bool = False) -> LoadedModel:
    """Load the plan's base model; a new head is drawn from the run's seed.

    Args:
        plan: The plan.
        plain: Undo a quantisation after loading: ordinary layers with the numbers that the quantised ones
            stand for.

    Raises:
        ModelError: If it cannot be read, or a prompt is asked of a checkpoint that is no language model.
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
    if plan.form.name == "prompt" and base.new_modules:
        raise ModelError(
            f"The checkpoint of {settings.name} is no language model: it has no weights for "
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
        task_type=plan.form.task_type,
        model_type=model_type,
        new_modules=base.new_modules,
    )
    set_seed(plan.config.training.seed)
    model = insert_adapter(base.model, peft_config)
    adapter = plan.config.adapter.model_copy(update=_settings_of(peft_config))
    config = plan.config.model_copy(update={"adapter": adapter})
    return AdaptedModel(model, config, count_adapter(model, total, model_type))


def _decided(
    config: Config, form: TaskForm, data: TaskData, source: ModelSource, quantization: Quantization | None
) -> Config:
    """The config with everything filled in that does not need the model's weights."""
    training, task = config.training, data.task
    defaults = training_defaults(config.adapter.method, training.gradient)
    custom = config.task.name == CUSTOM
    columns = {"text": task.text, "text_pair": task.text_pair, "label": task.label} if custom else {}
    return config.model_copy(
        update={
            "model": config.model.model_copy(
                update={
                    "name": source.name if source.name.startswith("bundled:") else source.location,
                    "quantization": quantization,
                }
            ),
            "task": config.task.model_copy(update={"form": form.name}),
            "data": config.data.model_copy(
                update={
                    "source": _absolute(config.data.source),
                    "max_length": form.max_length,
                    "columns": config.data.columns.model_copy(update=columns),
                    "labels": list(task.labels) if custom else None,
                }
            ),
            "training": training.model_copy(
                update={
                    "learning_rate": training.learning_rate or defaults.learning_rate,
                    "epochs": training.epochs or defaults.epochs,
                    "warmup": 0.0 if training.scheduler == "constant" else training.warmup,
                }
            ),
        }
    )


def _absolute(source: str | None) -> str | None:
    """A local data path from anywhere; other sources as they are."""
    if source is None or source.startswith("bundled:"):
        return source
    path = Path(os.path.expanduser(source))
    return str(path.resolve()) if path.exists() else source


def _settings_of(peft_config: Any) -> dict[str, Any]:
    """A PEFT config's values as adapter settings."""
    targets, excluded = peft_config.target_modules, peft_config.exclude_modules
    common = {
        "target_modules": sorted(targets) if isinstance(targets, (set, list)) else targets,
        "exclude_modules": sorted(excluded) if isinstance(excluded, (set, list)) else excluded,
        "layers_to_transform": peft_config.layers_to_transform,
    }
    if isinstance(peft_config, LoraConfig):
        return common | {
            "bottleneck": peft_config.r,
            "alpha": float(peft_config.lora_alpha),
            "dropout": float(peft_config.lora_dropout),
        }
    shared = {
        name: getattr(peft_config, name)
        for name in ("preset", "tt_rank", "alpha", "dropout", "train_norms", "head", "mode_shapes")
    }
    if peft_config.method == "rep":
        init = "noise-reduction" if peft_config.init_weights == "noise-reduction" else "zero"
        return common | shared | {"bottleneck": peft_config.r, "init": init}
    return (
        common
        | shared
        | {
            "bottleneck": peft_config.bottleneck,
            "bias": peft_config.adapter_bias,
            "placement": peft_config.placement,
            "activation": peft_config.activation,
        }
    )
