"""The settings of a run as pydantic models: names, types, limits and defaults, nothing else.

What a setting left at ``None`` becomes (the preset's rank, the task's columns) is decided later, by the
rooms that know. Imports pydantic and the kinds of values; no torch, transformers, datasets or peft.
"""

from __future__ import annotations

from functools import cache
from math import prod
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from loretta_cli.config.group import SettingsGroup
from loretta_cli.config.kinds import (
    Count,
    Dropout,
    Escaped,
    Expects,
    LayerIndex,
    Length,
    ModeShapes,
    Place,
    Positive,
    Seed,
    Share,
    Text,
    own_sentence,
)
from loretta_cli.config.training import TrainingSettings, ZerothOrderSettings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


class ModelSettings(SettingsGroup):
    """The base model: which one, and how it is loaded."""

    name: Place | None = Field(default=None, description="Hub id, local folder, or a bundled name.")
    revision: Text | None = Field(default=None, description="Branch, tag or commit of the hub id.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="Number type of the base weights; auto chooses by device."
    )
    quantization: Literal["nf4", "fp4", "int8"] | None = Field(
        default=None, description="Quantise the base's linear layers while loading: 4 bits or 8."
    )
    trust_remote_code: bool = Field(
        default=False,
        description="Run code that comes with the model; needs --trust-remote-code as well.",
    )


class AdapterSettings(SettingsGroup):
    """The adapter: method, size and place. ``None`` means: from the preset."""

    method: Text = Field(
        default="rep", description="Adapter method: rep, adp, or a PEFT method such as lora."
    )
    preset: Literal["auto", "paper", "standard", "lean"] = Field(
        default="auto", description="Named set of adapter settings; auto chooses by model."
    )
    tt_rank: Count | Annotated[list[Count], Field(min_length=1)] | None = Field(
        default=None, description="Tensor-train rank: one number, or one per inner bond."
    )
    bottleneck: Count | None = Field(default=None, description="Inner width of the adapter (r of rep).")
    alpha: Positive | None = Field(default=None, description="Scale of the update: alpha / bottleneck.")
    target_modules: Text | Annotated[list[Text], Field(min_length=1)] | None = Field(
        default=None, description="Names of the adapted modules, or one regular expression."
    )
    exclude_modules: Text | list[Text] | None = Field(
        default=None, description="Names of modules left alone, or one regular expression."
    )
    mode_shapes: ModeShapes | None = Field(
        default=None, description="Tensor-train modes of a matrix, by its size INxOUT."
    )
    head: Literal["tt", "dense", "frozen"] | None = Field(
        default=None, description="Classifier head: tensor-train, dense and trained, or frozen."
    )
    bias: bool | None = Field(default=None, description="Whether adapter layers have trained biases.")
    train_norms: bool | None = Field(default=None, description="Whether the layer norms are trained too.")
    placement: Literal["sublayer", "mlp"] | None = Field(
        default=None, description="Where adp sits: after each sublayer's output, or on the MLP projections."
    )
    activation: Literal["relu", "gelu", "silu", "tanh"] | None = Field(
        default=None, description="Function between the two projections of adp."
    )
    dropout: Dropout | None = Field(default=None, description="Share of adapter inputs dropped in training.")
    init: Literal["zero", "noise-reduction"] | None = Field(
        default=None, description="Start of the cores: zero update, or the paper's noise reduction (rep)."
    )
    layers_to_transform: LayerIndex | Annotated[list[LayerIndex], Field(min_length=1)] | None = Field(
        default=None, description="Layer numbers, from 0, that get adapters; unset means all."
    )

    virtual_tokens: Count | None = Field(
        default=None, description="Tokens that prefix, prompt and p-tuning put before a text."
    )

    @property
    def given(self) -> dict[str, Any]:
        """The settings that say something beside the method: neither left out, nor ``None`` or ``auto``."""
        values = {name: getattr(self, name) for name in sorted(self.model_fields_set - {"method"})}
        return {name: value for name, value in values.items() if value is not None and value != "auto"}

    @field_validator("mode_shapes")
    @classmethod
    def _modes_multiply_to_the_size(cls, shapes: dict[str, list[int]] | None) -> dict[str, list[int]] | None:
        wrong = []
        for name, modes in (shapes or {}).items():
            rows, columns = (int(size) for size in name.split("x"))
            if prod(modes) != rows * columns:
                wrong.append(
                    f"the modes {modes} of {name} multiply to {prod(modes)}, "
                    f"expected {rows} x {columns} = {rows * columns}"
                )
        if wrong:
            raise own_sentence("; ".join(wrong))
        return shapes


class TaskSettings(SettingsGroup):
    """The task."""

    name: Text | None = Field(
        default=None,
        description="Task name; classification, regression, multiple-choice, generation and "
        "language-modeling are for data of your own.",
    )
    names: Annotated[list[Text], Expects("a list of two or more different tasks")] | None = Field(
        default=None, description="Several tasks, to be trained on one after the other; instead of name."
    )
    shared_head: bool = Field(
        default=False, description="Of several tasks: one classification head for all, as in the paper."
    )
    form: Literal["auto", "classification", "prompt", "masked", "generation"] = Field(
        default="auto",
        description="Classifier head, prompt with options, label word of a masked language model, or free "
        "text; auto chooses by model and task.",
    )
    calibration: bool = Field(
        default=False,
        description="Subtract from an option's score the one it has behind the prompt without its context.",
    )
    prompt: Annotated[Text | None, Escaped()] = Field(
        default=None, description="Your own prompt: {column} is what a column holds, {{ and }} are braces."
    )
    masked_prompt: Annotated[Text | None, Escaped()] = Field(
        default=None, description="Your own text for a masked language model; {mask} is where the word goes."
    )
    cut: Text | None = Field(
        default=None,
        description="Column of your own prompt that loses its end where a row is too long, and that "
        "calibration leaves out; unset means the task's own, or the longest.",
    )
    options: Annotated[list[Text], Expects("a list of two or more different texts")] | None = Field(
        default=None, description="Texts that answer the prompt, one for each label in order; or numbers."
    )
    metrics: Annotated[list[Text], Field(min_length=1)] | None = Field(
        default=None, description="Metrics of your own task; the first one chooses the checkpoint."
    )
    stop: Annotated[list[Text], Field(min_length=1)] | None = Field(
        default=None, description="Texts at which a generated answer ends."
    )
    max_new_tokens: Count | None = Field(default=None, description="Longest generated answer, in tokens.")

    @field_validator("options")
    @classmethod
    def _options_differ(cls, options: list[str] | None) -> list[str] | None:
        texts = [option.strip() for option in options or ("a", "b")]
        if len(texts) < 2 or len(set(texts)) != len(texts) or not all(texts):
            raise ValueError("options repeat, are empty or too few")
        return options

    @field_validator("names")
    @classmethod
    def _several_tasks(cls, names: list[str] | None, info: ValidationInfo) -> list[str] | None:
        if names is None:
            return None
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise own_sentence(f"{twice} stands in it twice", "Each task is trained on once; remove it.")
        if len(names) < 2:
            raise ValueError("too few")
        if info.data.get("name") is not None:
            raise own_sentence(
                f"task.name is {info.data['name']}, and both are given",
                "Give task.name for one task, or task.names for several.",
            )
        return names

    @field_validator("shared_head")
    @classmethod
    def _head_of_several_tasks(cls, shared: bool, info: ValidationInfo) -> bool:
        if shared and info.data.get("names") is None and "names" in info.data:
            raise own_sentence("one task has one head", "Add task.names, or --task several times.")
        return shared


class ColumnSettings(SettingsGroup):
    """Which columns of the data hold what."""

    text: Text | None = Field(default=None, description="Column with the text.")
    text_pair: Text | None = Field(default=None, description="Column with the second text, if any.")
    label: Text | None = Field(default=None, description="Column with the label, score or right option.")
    options: Text | Annotated[list[Text], Field(min_length=2)] | None = Field(
        default=None, description="Columns with one option each, or one column with a list of them."
    )
    prompt: Text | None = Field(default=None, description="Column with what comes before the answer.")
    completion: Text | None = Field(default=None, description="Column with the answer to be generated.")
    messages: Text | None = Field(default=None, description="Column with the messages of a chat.")


class DataSettings(SettingsGroup):
    """The rows to train on, to choose the checkpoint by, and to report."""

    source: Place | None = Field(default=None, description="Folder, file, hub id, or a bundled name.")
    columns: ColumnSettings = Field(
        default_factory=ColumnSettings, description="Column names of your own data."
    )
    labels: Annotated[list[Text], Expects("a list of two or more different texts")] | None = Field(
        default=None, description="All labels in order; unset means those found in the training rows."
    )
    protocol: Literal["full", "low-data", "k-shot", "paper"] = Field(
        default="full",
        description="Which rows train and which choose the checkpoint: all but a share; 1000 and 500; "
        "data.shots of each label; or all, and the reported rows choose.",
    )
    shots: Count | None = Field(default=None, description="Rows of each label under the protocol k-shot.")
    seed: Seed | None = Field(
        default=None,
        description="Seed of the choice of rows; unset means training.seed, and 0 for a held-out validation.",
    )
    train_rows: Count | None = Field(default=None, description="Most training rows used; unset means all.")
    selection_rows: Count | None = Field(
        default=None, description="Train rows held out to choose the checkpoint; wins over the share."
    )
    selection_fraction: Share = Field(
        default=0.1, description="Share of the train rows held out to choose the checkpoint, at most 1000."
    )
    validation_rows: Count | None = Field(
        default=None, description="Most validation rows reported; unset means all."
    )
    validation_fraction: Share = Field(
        default=0.1, description="Share of the rows held out when the data has no validation split."
    )
    max_length: Length | None = Field(
        default=None,
        description="Most tokens of a row; longer rows are cut. Unset means 1024 for a prompt and 256 for a "
        "head or label word (512 in multirc and record), where the model has the positions.",
    )

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, labels: list[str] | None) -> list[str] | None:
        if labels is not None and (len(labels) < 2 or len(set(labels)) != len(labels)):
            raise ValueError("labels repeat or are too few")
        return labels


class OutputSettings(SettingsGroup):
    """Where the run is written."""

    dir: Text | None = Field(default=None, description="Run folder; unset means a new one under runs/.")


class Config(SettingsGroup):
    """Everything that was asked for, as plain data."""

    model: ModelSettings = Field(default_factory=ModelSettings, description="The base model.")
    adapter: AdapterSettings = Field(default_factory=AdapterSettings, description="The adapter.")
    task: TaskSettings = Field(default_factory=TaskSettings, description="The task.")
    data: DataSettings = Field(default_factory=DataSettings, description="The rows.")
    training: TrainingSettings = Field(default_factory=TrainingSettings, description="The training.")
    zo: ZerothOrderSettings = Field(
        default_factory=ZerothOrderSettings, description="Zeroth-order gradients."
    )
    output: OutputSettings = Field(default_factory=OutputSettings, description="Where the run is written.")


@cache
def section_keys() -> tuple[str, ...]:
    """Dotted keys of all groups of settings, in the order of the schema (``model`` … ``data.columns``)."""
    return tuple(key for key, field in _walk(Config) if _group(field) is not None)


@cache
def setting_fields() -> dict[str, FieldInfo]:
    """Every single setting by its dotted key, in the order of the schema."""
    return {key: field for key, field in _walk(Config) if _group(field) is None}


def _walk(group: type[BaseModel], prefix: str = "") -> list[tuple[str, FieldInfo]]:
    """All fields of ``group`` and below, each with its dotted key."""
    found: list[tuple[str, FieldInfo]] = []
    for name, field in group.model_fields.items():
        found.append((prefix + name, field))
        inner = _group(field)
        if inner is not None:
            found += _walk(inner, f"{prefix}{name}.")
    return found


def _group(field: FieldInfo) -> type[BaseModel] | None:
    """The model that ``field`` holds, or None if it is a single setting."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
