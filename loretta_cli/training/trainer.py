"""The Trainer subclass: every override of transformers' Trainer stands here. transformers is pinned for it.

Overridden: ``training_step`` (gradients come from an estimator), ``compute_loss`` (cross-entropy of our
scores), ``_get_train_sampler`` (rows of like length together), ``_save`` (the adapter alone, without
asking the hub), ``_save_checkpoint`` (a completeness marker), ``_load_best_model`` (from where the run
lies now).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import Trainer, TrainerState
from transformers.trainer import TRAINER_STATE_NAME

from loretta_cli.artifacts.checkpoints import mark_complete
from loretta_cli.tasks.scoring import Scorer, scores_loss
from loretta_cli.training.gradients import GradientEstimator
from loretta_cli.training.sampling import LengthGroupedSampler


class AdapterTrainer(Trainer):
    """Trains an adapter with gradients from an estimator and the loss of a scorer.

    Args:
        estimator: Where gradients come from.
        scorer: From a batch to scores ``(batch, labels)``.
        **options: Passed to ``transformers.Trainer``.
    """

    def __init__(self, *, estimator: GradientEstimator, scorer: Scorer, **options: Any) -> None:
        super().__init__(**options)
        self.estimator = estimator
        self.scorer = scorer
        # The loss is a mean over the batch's rows, whatever the model's own loss would have counted.
        self.model_accepts_loss_kwargs = False

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Have the estimator add the gradient of one batch to ``.grad``; returns the loss."""
        model.train()
        batch = self._prepare_inputs(inputs)

        def loss() -> torch.Tensor:
            with self.compute_loss_context_manager():
                value: torch.Tensor = self.compute_loss(model, batch)
            return value

        return self.estimator.accumulate(
            model,
            loss,
            scale=1.0 / self.current_gradient_accumulation_steps,
            backward=self.accelerator.backward,
        )

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Mapping[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Cross-entropy of the scores; the scores are the output that evaluation collects."""
        scores = self.scorer(model, inputs)
        loss = scores_loss(scores, inputs["labels"])
        return (loss, {"scores": scores}) if return_outputs else loss

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedSampler:
        rows = self.train_dataset if train_dataset is None else train_dataset
        lengths = [len(row["input_ids"]) for row in rows]
        return LengthGroupedSampler(lengths, self.args.train_batch_size, self.args.seed)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        # Without the explicit False, PEFT asks the hub at every checkpoint whether the vocabulary grew. No
        # pickled arguments either: what a run is stands in its config.yaml.
        self.model.save_pretrained(output_dir, state_dict=state_dict, save_embedding_layers=False)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        if self.args.should_save:
            mark_complete(Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}")

    def _load_best_model(self) -> None:
        # The path that the state keeps is no longer right once a run has been moved.
        best = Path(self.args.output_dir) / f"checkpoint-{self.state.best_global_step}"
        self.state.best_model_checkpoint = str(best)
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
        self._load_best_model()
        return True
