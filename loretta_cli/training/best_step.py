"""Which evaluation is the best so far: the main metric, and of equal ones the lower loss.

A metric of few rows takes few values, and is soon at one of them for good; the loss still tells how sure the
model is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from transformers import TrainerState, TrainingArguments

LOSS = "eval_loss"


def is_best(state: TrainerState, metrics: Mapping[str, float], args: TrainingArguments) -> bool:
    """Whether an evaluation is better than the best one so far.

    Args:
        state: With the best so far, and the records of all evaluations.
        metrics: Of the evaluation, with the prefix of Trainer.
        args: Which metric chooses, and whether greater is better.
    """
    found, best = metrics[chosen_by(args)], state.best_metric
    if not math.isfinite(found):
        return False
    if best is None or found != best:
        return best is None or (found > best if args.greater_is_better else found < best)
    now, before = metrics.get(LOSS), _loss_of(state, state.best_global_step)
    return now is not None and before is not None and now < before


def chosen_by(args: TrainingArguments) -> str:
    """The metric that chooses, with the prefix of Trainer."""
    return f"eval_{str(args.metric_for_best_model).removeprefix('eval_')}"


def _loss_of(state: TrainerState, step: int | None) -> float | None:
    """The loss of the evaluation after a step, if it is known."""
    losses = [record[LOSS] for record in state.log_history if record.get("step") == step and LOSS in record]
    return float(losses[-1]) if losses else None
