"""From the training settings to ``transformers.TrainingArguments``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from loretta_cli.config import TrainingSettings
from loretta_cli.processes import processes

OPTIMIZERS = {
    "adamw": "adamw_torch",
    "adamw_fused": "adamw_torch_fused",
    "adafactor": "adafactor",
    "sgd": "sgd",
    "rmsprop": "rmsprop",
}


def optimizer_options(momentum: float | None) -> str | None:
    """The options of an optimizer beside its rates, as ``TrainingArguments.optim_args`` has them."""
    return f"momentum={momentum!r}" if momentum else None


def training_arguments(
    settings: TrainingSettings,
    *,
    steps: int | None,
    folder: Path,
    chosen_by: str,
    greater_is_better: bool,
) -> TrainingArguments:
    """Trainer's arguments: evaluate, save and look for the best at the same steps; print and send nothing.

    Args:
        settings: With learning rate and epochs filled in.
        steps: Optimizer steps; None for those of the epochs.
        folder: For the checkpoints.
        chosen_by: The metric of the best checkpoint.
        greater_is_better: Whether it has the highest of it, or the lowest.

    Raises:
        ConfigError: If the batch cannot be divided among the processes.
    """
    mine = processes()
    every = settings.evaluate_every
    rhythm: dict[str, Any] = {"eval_strategy": "epoch", "save_strategy": "epoch"}
    if every is not None:
        rhythm = {
            "eval_strategy": "steps",
            "eval_steps": every,
            "save_strategy": "steps",
            "save_steps": every,
        }
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=mine.share(settings.batch_size),
        per_device_eval_batch_size=settings.evaluation_batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        activation_checkpointing=settings.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False} if settings.gradient_checkpointing else None,
        num_train_epochs=settings.epochs or 1.0,
        max_steps=steps or -1,
        learning_rate=settings.learning_rate or 0.0,
        lr_scheduler_type=settings.scheduler,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        optim=OPTIMIZERS[settings.optimizer or "adamw"],
        optim_args=optimizer_options(settings.momentum),
        max_grad_norm=settings.max_grad_norm or 0.0,
        seed=settings.seed,
        data_seed=settings.seed,
        logging_steps=settings.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        load_best_model_at_end=True,
        metric_for_best_model=chosen_by,
        greater_is_better=greater_is_better,
        restore_callback_states_from_checkpoint=True,
        label_names=["labels"],
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
        report_to="none",
        log_level="error",
        # Without it, Trainer takes the processes of a machine without a GPU for single ones.
        use_cpu=mine.count > 1 and not torch.cuda.is_available(),
        **rhythm,
    )
    # One process uses one GPU; Trainer would put a model of one process on all there are.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments
