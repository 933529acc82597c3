"""The Trainer subclass: every override of transformers' Trainer stands here. transformers is pinned for it.

Overridden: ``training_step`` (gradients come from an estimator), ``evaluate`` (the one evaluation that
``loretta eval`` uses too), ``_determine_best_metric`` (of equal ones the lower loss),
``get_train_dataloader`` (rows carry weights, and several processes share the batches of one),
``_get_train_sampler`` (rows of like length together), ``_save`` (the adapter alone, without asking the hub),
``_save_checkpoint`` and ``_get_output_dir`` (whole or not at all), ``_load_best_model`` (from where the run
lies now), ``_load_from_checkpoint`` (both without a second copy of weights that are trained in place),
``_get_grad_norm`` (the watch hears of it).

Overridden for several processes: ``_sync_replicated_trainable_parameters`` (Trainer's hook for models that no
wrapper surrounds), ``_move_model_to_device`` (not a model in parts), ``train``, ``_save_rng_state`` and
``_load_rng_state`` (each has its own dropout, and only the first writes).
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerControl, TrainerState, set_seed
from transformers.trainer import TRAINER_STATE_NAME

from loretta_cli.artifacts.checkpoints import name_of, prune
from loretta_cli.processes import Processes, from_all, processes
from loretta_cli.tasks.forms import TaskForm, length_of
from loretta_cli.training.best_step import is_best
from loretta_cli.training.checkpointing import whole_checkpoint
from loretta_cli.training.gradients import BatchLoss, GradientEstimator, Moment
from loretta_cli.training.gradients.vector import trained_parameters
from loretta_cli.training.objectives import BatchScorer
from loretta_cli.training.out_of_memory import Activity
from loretta_cli.training.parallel import average_gradients, make_equal, state_to_save
from loretta_cli.training.sampling import (
    NUMBER,
    WEIGHT,
    LengthGroupedSampler,
    SharedBatches,
    WeightedCollator,
    WeightedRows,
)
from loretta_cli.training.watch import Watch


class AdapterTrainer(Trainer):
    """Trains an adapter with gradients from an estimator and the losses of a form.

    Args:
        form: How the model meets the task; it collates the rows.
        evaluation: From the model to the metrics that choose the checkpoint, ``loss`` among them.
        scorer: Scores a batch, where a metric of it is what the training improves; None for its loss.
        keep_checkpoints: How many of the last are kept, beside the best; None keeps all.
        count: Hears of each batch that is trained on.
        activity: Told what is being done.
        watch: Hears of each loss and gradient.
        **options: Passed to ``transformers.Trainer``.
    """

    control: TrainerControl
    estimator: GradientEstimator
    """Where gradients come from; set before ``train``, as it asks for what the Trainer has."""

    def __init__(
        self,
        *,
        form: TaskForm,
        evaluation: Callable[[nn.Module], Mapping[str, float]],
        scorer: BatchScorer | None = None,
        keep_checkpoints: int | None = None,
        count: Callable[[Mapping[str, Any]], None] | None = None,
        activity: Activity | None = None,
        watch: Watch | None = None,
        **options: Any,
    ) -> None:
        super().__init__(data_collator=form.collate, **options)
        self.form = form
        self.evaluation = evaluation
        self.scorer = scorer
        self.keep_checkpoints = keep_checkpoints
        self.count = count
        self.activity = activity or Activity()
        self.watch = watch
        self._writing_below: Path | None = None
        self._evaluated_after = 0
        # The loss is a mean over the batch, whatever the model's own loss would have counted.
        self.model_accepts_loss_kwargs = False
        self.mine = processes()
        self.averages_gradients = self.mine.count > 1 and not self.is_deepspeed_enabled
        if self.averages_gradients:
            # Trainer's word for "no wrapper around the model": it then only calls the hook below.
            self.is_distributed_loading_by_transformers = True

    def train(self, *arguments: Any, **options: Any) -> Any:
        """Train; each of several processes draws its own dropout."""
        if self.mine.count > 1:
            self._seed_this_process(step=0)
        return super().train(*arguments, **options)

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Have the estimator add the gradient of one batch to ``.grad``; returns the loss."""
        self.activity.now = f"in training step {self.state.global_step + 1:,}"
        batch = self._prepare_inputs(inputs)
        if self.count is not None:
            self.count(batch)
        score = None
        if self.scorer is not None:
            score = functools.partial(self.scorer, model, batch[NUMBER].tolist())
        loss = BatchLoss(
            model,
            self.form,
            inputs={name: value for name, value in batch.items() if name not in (WEIGHT, NUMBER)},
            weights=batch[WEIGHT],
            precision=self.compute_loss_context_manager,
            score=score,
        )
        moment = Moment(
            step=self.state.global_step,
            epoch=int(self.state.epoch or 0) + 1,
            learning_rate=float(self.optimizer.param_groups[0]["lr"]),
            is_last=self.accelerator.sync_gradients,
        )
        value = self.estimator.accumulate(
            loss,
            scale=1.0 / self.current_gradient_accumulation_steps,
            backward=self.accelerator.backward,
            moment=moment,
        )
        if self.averages_gradients and self.estimator.averages and moment.is_last:
            average_gradients(model.parameters())
        if self.watch is not None:
            self.watch.heard(batch, value, moment, has_gradients=not self.is_deepspeed_enabled)
        return value

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        # A gradient that is scaled for half precision may overflow; its step is then left out.
        if self.watch is not None and not self.is_deepspeed_enabled and self.accelerator.scaler is None:
            self.watch.heard_norm(norm)
        return norm

    @property
    def model_in_use(self) -> nn.Module:
        """The model, as this process runs it."""
        model: nn.Module = self.model_wrapped if self.is_deepspeed_enabled else self.model
        return model

    def evaluate(self, *arguments: Any, **options: Any) -> dict[str, float]:
        """The metrics that choose the checkpoint, each with the prefix that Trainer looks for."""
        step = self.state.global_step
        with self.activity.doing(f"in the evaluation after step {step:,}", is_evaluation=True):
            found = self.evaluation(self.model_in_use)
        self._evaluated_after = self.state.global_step
        metrics = {f"eval_{name}": value for name, value in found.items()}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        if super()._determine_best_metric(metrics, trial):
            return True
        if not is_best(self.state, metrics, self.args):
            return False
        self.state.best_global_step = self.state.global_step  # as good, with a lower loss
        return True

    def get_train_dataloader(self) -> Any:
        """Batches of ``training.batch_size`` rows, or this process's share of them, with their weights."""
        weights = [row.get("weight", 1.0) for row in self.train_dataset]
        batch_size = self.args.train_batch_size * self.mine.count
        sharing = self.mine if self.estimator.shares_rows else Processes()
        return DataLoader(
            WeightedRows(self.train_dataset),
            batch_sampler=SharedBatches(self._get_train_sampler(), batch_size, sharing, weights),
            collate_fn=WeightedCollator(self.data_collator, numbered=self.scorer is not None),
            pin_memory=self.args.dataloader_pin_memory,
        )

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedSampler:
        rows = self.train_dataset if train_dataset is None else train_dataset
        lengths = [length_of(row) for row in rows]
        return LengthGroupedSampler(lengths, self.args.train_batch_size * self.mine.count, self.args.seed)

    def _move_model_to_device(self, model: nn.Module, device: torch.device) -> None:
        if not isinstance(model, FSDPModule):  # which stands where it belongs, in parts
            super()._move_model_to_device(model, device)

    def _sync_replicated_trainable_parameters(self, model: nn.Module) -> None:
        make_equal(model)

    def _seed_this_process(self, *, step: int) -> None:
        words = np.random.SeedSequence([self.args.seed, self.mine.rank, step]).generate_state(1)
        set_seed(int(words[0]))

    def _save_rng_state(self, output_dir: str) -> None:
        if self.mine.count == 1:
            super()._save_rng_state(output_dir)
            return
        with tempfile.TemporaryDirectory() as folder:
            super()._save_rng_state(folder)
            (file,) = Path(folder).iterdir()
            everyone = from_all((file.name, file.read_bytes()))
        if self.mine.is_first:
            for name, content in everyone:
                (Path(output_dir) / name).write_bytes(content)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            # With another number of processes than before there may be no state for this one; and one that
            # is not its own would repeat masks.
            self._seed_this_process(step=self.state.global_step)
        super()._load_rng_state(checkpoint)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        # On every process: asking a model in parts for its state changes what it fetches next.
        state = state_to_save(self.model) if state_dict is None else state_dict
        if not self.args.should_save:
            return
        # Without the explicit False, PEFT asks the hub at every checkpoint whether the vocabulary grew. No
        # pickled arguments either: what a run is stands in its config.yaml.
        self.model.save_pretrained(output_dir, state_dict=state, save_embedding_layers=False)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        folder, step, best = Path(self.args.output_dir), self.state.global_step, self.state.best_global_step
        if best:
            # Trainer looks for it where it is writing.
            self.state.best_model_checkpoint = str(folder / name_of(best))
        with (
            self.activity.doing(f"while saving the checkpoint of step {step:,}"),
            whole_checkpoint(folder, name_of(step)) as self._writing_below,
        ):
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
        self._writing_below = None
        if step == self._evaluated_after:
            # One that the user asked for must not change the course of the training.
            self.estimator.saved(step)
        if self.keep_checkpoints is not None and self.args.should_save:
            prune(folder, keep=self.keep_checkpoints, spare={best or 0, *self.estimator.needed()})

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._writing_below or super()._get_output_dir(trial))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        if not self._taken_in_place(Path(resume_from_checkpoint)):
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _taken_in_place(self, checkpoint: Path) -> bool:
        """Take a checkpoint into weights that have no room for a second copy, if they are such."""
        if not getattr(self.model.active_peft_config, "in_place", False):
            return False
        trained_parameters(self.model, any_dtype=True).take(checkpoint)
        return True

    def _load_best_model(self) -> None:
        # The path that the state keeps is no longer right once a run has been moved.
        best = Path(self.args.output_dir) / name_of(self.state.best_global_step or 0)
        self.state.best_model_checkpoint = str(best)
        if not self._taken_in_place(best):
            super()._load_best_model()

    def take_up_ended(self, checkpoint: Path) -> bool:
        """Take up a training that had reached its end at a checkpoint: its state and its best adapter.

        ``train`` would add a step to it.

        Returns:
            Whether it had ended there; if not, nothing was changed.
        """
        state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
        control = state.stateful_callbacks.get("TrainerControl", {}).get("args", {})
        if not control.get("should_training_stop"):
            return False
        self.state = state
        if self.is_deepspeed_enabled:  # its engine is made by a training only
            best = checkpoint.parent / name_of(state.best_global_step or 0)
            self.model.load_adapter(str(best), self.model.active_adapter, is_trainable=True)
        else:
            self._load_best_model()
        return True
