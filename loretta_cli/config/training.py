"""The settings of the training, and those of its zeroth-order gradients."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from loretta_cli.config.group import SettingsGroup
from loretta_cli.config.kinds import Count, Expects, NotNegative, Positive, Seed, Share, TrackerName, Warmup


class TrainingSettings(SettingsGroup):
    """How the adapter is trained."""

    gradient: Literal["backprop", "zo"] = Field(
        default="backprop", description="Where gradients come from: backpropagation, or forward passes alone."
    )
    objective: Literal["loss", "accuracy", "f1", "exact_match"] = Field(
        default="loss",
        description="What is improved: the loss, or a metric of each batch, for which gradient must be zo.",
    )
    epochs: Positive | None = Field(default=None, description="Passes over the training rows.")
    max_steps: Count | None = Field(default=None, description="Optimizer steps; wins over epochs.")
    learning_rate: Positive | None = Field(
        default=None, description="Peak step size of the optimizer; unset means the method's own."
    )
    scheduler: Literal["linear", "cosine", "constant", "constant_with_warmup"] = Field(
        default="linear", description="Course of the learning rate after the warm-up."
    )
    warmup: Warmup = Field(default=0.06, description="Below 1: share of all steps; 1 or more: steps.")
    weight_decay: NotNegative = Field(default=0.01, description="Decoupled weight decay.")
    batch_size: Count = Field(
        default=16, description="Training rows in one forward pass, of all processes together."
    )
    evaluation_batch_size: Count = Field(
        default=64, description="Validation rows in one forward pass of each process."
    )
    gradient_accumulation: Count = Field(default=1, description="Forward passes summed into one step.")
    gradient_checkpointing: bool = Field(
        default=False, description="Recompute activations in the backward pass to save memory."
    )
    shard_base: bool = Field(
        default=False, description="Divide the frozen base among the processes (FSDP) to save memory."
    )
    optimizer: Literal["adamw", "adamw_fused", "adafactor", "sgd", "rmsprop"] | None = Field(
        default=None, description="Optimizer; unset means adamw, and sgd for zeroth-order gradients."
    )
    momentum: Share | None = Field(
        default=None, description="Share of the last step that sgd adds to the next; unset means none."
    )
    max_grad_norm: NotNegative | None = Field(
        default=None, description="Norm of a backpropagated gradient is cut to this, unset to 1; 0: never."
    )
    seed: Seed = Field(default=0, description="Seed of the start values, the order of rows and the dropout.")
    evaluate_every: Count | None = Field(
        default=None, description="Steps between evaluations; unset means once an epoch."
    )
    select_by: Literal["metric", "loss"] = Field(
        default="metric", description="What chooses the checkpoint: the task's main metric, or the loss."
    )
    early_stopping: Count | None = Field(
        default=None, description="Stop after this many evaluations without improvement."
    )
    keep_checkpoints: Count | None = Field(
        default=None, description="Keep so many of the last checkpoints, and the best; unset keeps all."
    )
    log_every: Count = Field(default=10, description="Steps between two lines of metrics.")
    trackers: list[TrackerName] = Field(
        default=[], description="Who else gets the metrics; nobody who is not named."
    )

    @field_validator("warmup")
    @classmethod
    def _warmup_steps_are_whole(cls, warmup: float) -> float:
        if warmup >= 1 and not warmup.is_integer():
            raise ValueError("neither a share nor whole steps")
        return warmup


class ZerothOrderSettings(SettingsGroup):
    """How gradients are estimated from forward passes (``training.gradient: zo``)."""

    estimator: Literal["central", "one-sided"] = Field(
        default="central", description="Two forward passes a query (MeZO), or one and one in common (FZOO)."
    )
    directions: Literal["gaussian", "rademacher"] = Field(
        default="gaussian", description="Distribution of the random directions."
    )
    queries: Count = Field(default=1, description="Random directions a step; of a linear schedule the first.")
    schedule: Literal["constant", "linear", "adazeta"] = Field(
        default="constant",
        description="Course of the queries over the epochs; adazeta: min(alpha * epoch^beta, max_queries).",
    )
    alpha: Positive = Field(default=0.85, description="Factor of the schedule adazeta.")
    beta: Positive = Field(default=0.45, description="Exponent of the schedule adazeta.")
    max_queries: Count = Field(default=20, description="Most queries of the schedules adazeta and linear.")
    epsilon: Positive | None = Field(
        default=None, description="Distance of the perturbed points; unset means measured at the start."
    )
    normalize: bool = Field(
        default=False, description="One-sided: differences in units of the losses' standard deviation (FZOO)."
    )
    second_moment: Share | None = Field(
        default=None,
        description="Decay of the mean square of the projected gradients, whose root divides each step; "
        "unset it is 0.99 if learning_rate is unset too, as the default rates need it.",
    )
    clip: Positive | None = Field(
        default=5.0, description="Projected gradients are cut to so many times their median size of late."
    )
    rollback: Annotated[float, Field(gt=1), Expects("a number above 1")] | None = Field(
        default=2.0,
        description="Go back to the last good point, with a tenth of the rate, when the loss is so many "
        "times that of the first steps (at least 0.69, ln 2), or no longer depends on what trains.",
    )
    max_forward_passes: Count | None = Field(
        default=None,
        description="The training takes no more, those that measure epsilon and choose the backend among "
        "them; evaluations do not count.",
    )
    backend: Literal["auto", "sequential", "batched"] = Field(
        default="auto",
        description="One forward pass a query and side, or several in one; auto takes what was faster in a "
        "trial, so two runs of it may differ in last bits.",
    )
    memory: Count = Field(default=512, description="MiB that the copies of a batched forward pass may take.")
    split: Literal["queries", "rows"] = Field(
        default="queries", description="What several processes share: the queries of a step, or its rows."
    )
