"""Watches a training for what makes it useless, and says so within the first steps instead of after a week.

Errors where nothing can come of going on, warnings where something may. Nothing here changes a number:
losses and gradients are looked at where they are. Several processes look at the mean of theirs, at the same
steps, so that all of them stop, or none.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.evaluation.evaluate import Evaluation
from loretta_cli.planning.gradients import trains_in_place
from loretta_cli.planning.plan import AdaptedModel, Plan
from loretta_cli.report import Reporter
from loretta_cli.training.gradients import GradientEstimator, Moment
from loretta_cli.training.gradients.trajectory import finite
from loretta_cli.training.watching import faults
from loretta_cli.training.watching.evaluations import EvaluationWatch
from loretta_cli.training.watching.readings import Reading, Readings
from loretta_cli.training.watching.rows import chance_loss
from loretta_cli.training.watching.settings import Watched
from loretta_cli.training.watching.tensors import TrainedTensors

FIRST = 10
"""So many first steps are looked at one by one; steps of a learning rate of 0 do not count."""
ZEROS = 5
"""So many losses of exactly 0, or steps without labels, at the start are no accident."""
STEPS_FOR_ALL = 3
"""Steps after which every tensor has a gradient: the adapter's last core has one in the first, the others
once that has moved."""
MOST_WAITING = 50
"""Steps whose numbers wait on the device at most."""
LATE = 20
"""Steps whose median is the loss of late."""
TIMES = 3.0
"""A loss of late of so many times that of the start is divergence."""
GUESSING = 0.69
"""ln 2, the loss of guessing between two answers; a lower one at the start counts as this."""
FALLING = 0.95
"""A loss that has come down to this share within a quarter of the training may yet come below chance."""
SURE = 2.0
"""It has come down by so many times the standard error of the difference: rows make losses uneven, too."""
MOST_LOST = 0.9
"""A larger share of weights that an update leaves as they are is told of."""
LONG = 100
"""A training of so many steps is asked half way whether its loss is below chance."""


class Watch(TrainerCallback):
    """Reads the losses, the trained tensors and the evaluations of a training.

    Args:
        watched: The training.
        reporter: Hears the warnings.
        evaluations: Compares them.
        estimator: Where gradients come from, once there is one.
        chance: The loss of guessing by the labels' frequencies, where there is such a number.
        head: The modules of which the checkpoint had no weights.
    """

    def __init__(
        self,
        watched: Watched,
        reporter: Reporter,
        evaluations: EvaluationWatch,
        estimator: Callable[[], GradientEstimator],
        *,
        chance: float | None = None,
        head: Sequence[str] = (),
    ) -> None:
        self.watched = watched
        self.reporter = reporter
        self.evaluations = evaluations
        self.estimator = estimator
        self.chance = chance if watched.config.training.objective == "loss" else None
        self.head = head
        self._evaluation: Evaluation | None = None
        self._begin()

    def _begin(self) -> None:
        self._readings = Readings()
        self._tensors: TrainedTensors | None = None
        self._before: Reading | None = None
        self._moving = self._zeros = self._masked = self._rollbacks = 0
        self._has_gradient = False
        self._first: list[float] = []
        self._late: deque[float] = deque(maxlen=LATE)
        self._half: list[float] = []
        self._told: set[str] = set()

    def heard(
        self, batch: Mapping[str, Any], value: torch.Tensor, moment: Moment, *, has_gradients: bool
    ) -> None:
        """Note a batch whose gradient is made.

        Args:
            batch: On the device.
            value: Its share in the loss of the step.
            moment: Where the training is.
            has_gradients: Whether the trained tensors have their gradients; DeepSpeed keeps them elsewhere.
        """
        if not has_gradients:
            self._tensors = None
        self._readings.add(value, moment, None if self._tensors is None else batch)
        if moment.is_last and moment.learning_rate > 0 and self._tensors is not None:
            self._moving += 1
            self._tensors.look()

    def heard_norm(self, norm: torch.Tensor | float | None) -> None:
        """Note the norm of the gradient of the step; an estimate's has guards of its own."""
        if not self.watched.is_zeroth_order:
            self._readings.add_norm(norm)

    def heard_evaluation(self, found: Evaluation | None) -> None:
        """Note an evaluation; None where its loss was not finite."""
        self._evaluation = found

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Look at what trains as it is; a run that is resumed has had its first steps."""
        self._begin()
        if state.global_step == 0:
            self._tensors = TrainedTensors(kwargs["model"])

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Read the first steps one by one, later ones together."""
        is_last = state.global_step >= state.max_steps
        if self._tensors is not None or is_last or len(self._readings) >= MOST_WAITING:
            self._read(state.max_steps)
        if self._tensors is not None and (self._moving >= FIRST or is_last):
            self._judge_tensors(self._tensors)
            self._tensors = None

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Read what waits: a log comes before every evaluation and every checkpoint."""
        self._read(state.max_steps)

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Compare the evaluation with those before."""
        found, self._evaluation = self._evaluation, None
        estimates = self.estimator().summary()
        rollbacks = estimates["events"]["rollback"] if estimates else 0
        if rollbacks > self._rollbacks:
            self.evaluations.went_back()
        self._rollbacks = rollbacks
        if found is not None:
            for text in self.evaluations.add(state.global_step, found, steps=state.max_steps):
                self.reporter.warn(text)

    def _read(self, steps: int) -> None:
        """Judge the steps since the last call.

        Raises:
            TrainingError: If nothing can come of going on.
        """
        for reading in self._readings.read():
            self._judge(reading, steps)
            self._before = reading

    def _judge(self, reading: Reading, steps: int) -> None:
        self._judge_labels(reading)
        if not reading.is_finite:
            raise faults.not_finite(self.watched, reading, self._before)
        if self.watched.config.training.objective != "loss":
            return
        self._judge_zeros(reading)
        self._judge_course(reading)
        self._judge_half(reading, steps)

    def _judge_labels(self, reading: Reading) -> None:
        if reading.learns:
            return
        self._masked += 1
        if self._masked == reading.step and (reading.step == ZEROS or not math.isfinite(reading.loss)):
            raise faults.nothing_to_learn(reading.step)
        self._tell("masked", faults.some_masked(reading.step))

    def _judge_zeros(self, reading: Reading) -> None:
        self._zeros += reading.loss == 0
        self._has_gradient |= bool(reading.norm)
        if not self._zeros == reading.step == ZEROS:
            return
        if reading.norm is not None and not self._has_gradient:
            raise faults.zero_loss_without_gradient(ZEROS)
        self._tell("zero", faults.zero_loss(ZEROS))

    def _judge_course(self, reading: Reading) -> None:
        if len(self._first) < FIRST:
            self._first.append(reading.loss)
            return
        self._late.append(reading.loss)
        begun = max(statistics.fmean(self._first), GUESSING)
        if len(self._late) == LATE and (now := statistics.median(self._late)) > TIMES * begun:
            self._tell("diverging", faults.diverging(self.watched, reading.step, now, begun))

    def _judge_half(self, reading: Reading, steps: int) -> None:
        """Whether the second quarter of the training has a loss below chance, the warm-up being over."""
        if self.chance is None or steps < LONG or not steps // 4 < reading.step <= steps // 2:
            return
        if self._before is not None and reading.rate > self._before.rate:
            return
        self._half.append(reading.loss)
        if reading.step == steps // 2 and len(self._half) == steps // 2 - steps // 4:
            now = statistics.fmean(self._half)
            if now >= self.chance and not _is_falling(self._half):
                kind = self.evaluations.task.kind
                said = faults.not_below_chance(self.watched, reading.step, now, self.chance, kind=kind)
                self._tell("chance", said)

    def _judge_tensors(self, tensors: TrainedTensors) -> None:
        seen, steps = tensors.seen(), self._moving
        if not seen.names or not steps:
            return
        if len(seen.unreached) == len(seen.names):
            if self.watched.is_zeroth_order:
                # Slopes of 0 are told of where they are measured; in place there is no gradient.
                self._judge_weights(tensors)
                return
            loss = self._before.loss if self._before else 0.0
            raise faults.no_gradient(self.watched, seen, steps, loss)
        if len(seen.unmoved) == len(seen.names):
            raise faults.nothing_moves(self.watched, seen, steps)
        if seen.unreached and steps >= STEPS_FOR_ALL:
            self._tell("unreached", faults.parts_without_gradient(seen, steps, self.head))
        stuck = [name for name in seen.unmoved if name not in seen.unreached]
        if stuck and steps >= STEPS_FOR_ALL:
            self._tell("stuck", faults.parts_do_not_move(self.watched, seen, stuck, steps))

    def _judge_weights(self, tensors: TrainedTensors) -> None:
        """Whether weights that are trained in place are too coarse for the last update."""
        estimator: Any = self.estimator()
        if not trains_in_place(self.watched.config) or estimator.last is None:
            return
        record = estimator.last
        slopes = finite(record.g)
        size = record.lr * record.scale * math.hypot(*slopes) / max(len(slopes), 1)
        share = tensors.share_lost(size)
        if size and share > MOST_LOST:
            self._tell("lost", faults.lost_in_place(self.watched, share))

    def _tell(self, what: str, text: str) -> None:
        """Warn of a thing once."""
        if what not in self._told:
            self._told.add(what)
            self.reporter.warn(text)


def _is_falling(losses: Sequence[float]) -> bool:
    """Whether the second half of them is below the first, by more than losses differ from step to step."""
    middle = len(losses) // 2
    before, after = losses[:middle], losses[middle:]
    fall = statistics.fmean(before) - statistics.fmean(after)
    error = math.sqrt(sum(statistics.variance(part) / len(part) for part in (before, after)))
    return fall > max(SURE * error, (1 - FALLING) * statistics.fmean(before))


def watch_over(
    plan: Plan,
    adapted: AdaptedModel,
    run: RunFolder,
    reporter: Reporter,
    estimator: Callable[[], GradientEstimator],
    *,
    metric: str,
    head: Sequence[str] = (),
) -> Watch:
    """The watch over a run.

    Args:
        plan: Of the run.
        adapted: What trains.
        run: Its folder.
        reporter: Hears the warnings.
        estimator: Where gradients come from, once there is one.
        metric: Chooses the checkpoint.
        head: The modules of which the checkpoint had no weights.
    """
    base: Any = adapted.model.get_base_model()
    return Watch(
        Watched(adapted.config, base.dtype, run),
        reporter,
        EvaluationWatch(plan.data.task, metric, [example.label for example in plan.data.selection]),
        estimator,
        chance=chance_loss(plan.form, plan.data.train),
        head=head,
    )
