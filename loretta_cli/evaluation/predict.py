"""``loretta predict``: what a run says of rows that have no answer.

Model, prompts, tokens and scores are those of an evaluation, and so are the batches where all rows are asked
at once: the predictions for a validation file have the very metrics that ``loretta eval`` reports.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from loretta_cli.artifacts.base_location import check_base_is_there
from loretta_cli.artifacts.identity import Note
from loretta_cli.artifacts.restore import load_adapter
from loretta_cli.evaluation.answers import Answer, make_answer
from loretta_cli.evaluation.asked_run import AskedRun
from loretta_cli.evaluation.evaluate import NotFiniteError
from loretta_cli.evaluation.stages import has_own_heads
from loretta_cli.planning.plan import Plan, make_plan
from loretta_cli.tasks import Example
from loretta_cli.tasks.forms import Prediction, Row, length_of
from loretta_cli.tasks.forms.generation import GenerationForm
from loretta_cli.tasks.forms.streaming import Tell
from loretta_cli.tasks.preparation import TaskData


@dataclass(frozen=True, slots=True)
class Answers:
    """What a run says of some rows.

    Args:
        answers: One a row, in their order.
        shortened: How many rows were too long and were truncated.
    """

    answers: Sequence[Answer]
    shortened: int


@dataclass(frozen=True, slots=True)
class Predictor:
    """A run in memory, ready to be asked.

    Args:
        plan: Its plan, without rows.
        model: Base model and adapter, in evaluation mode.
    """

    plan: Plan
    model: nn.Module

    @property
    def batch_size(self) -> int:
        """Rows in a batch of the run's evaluations."""
        return self.plan.config.training.evaluation_batch_size

    def ask(
        self,
        examples: Sequence[Example],
        *,
        batch_size: int | None = None,
        done: Callable[[int], object] = lambda rows: None,
    ) -> Answers:
        """Ask for some rows; those of like length go into one batch.

        Args:
            examples: The rows.
            batch_size: Rows in a batch; as in the run's evaluations if None.
            done: Told after each batch how many rows are answered.

        Raises:
            DataError: If a row cannot be made short enough.
            NotFiniteError: If the model has no finite scores for a row.
        """
        encoded = self.plan.form.encode(examples)
        size = batch_size or self.batch_size
        lengths = [length_of(row) for row in encoded.rows]
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        found: dict[int, Answer] = {}
        with torch.inference_mode():
            for start in range(0, len(order), size):
                places = order[start : start + size]
                said = self._predict([encoded.rows[place] for place in places])
                found |= {
                    place: self._answer(examples[place], one) for place, one in zip(places, said, strict=True)
                }
                done(len(found))
        return Answers([found[place] for place in range(len(order))], encoded.shortened)

    def write(self, example: Example, tell: Tell) -> Answers:
        """Ask for one text, which is told piece by piece while it is written.

        Args:
            example: The row, of a run that writes.
            tell: Told the pieces; together they are the text.
        """
        form = self.plan.form
        assert isinstance(form, GenerationForm), "the caller asked whether the run writes"
        encoded = form.encode([example])
        with torch.inference_mode():
            (text,) = form.write(self.model, encoded.rows, tell=tell)
        return Answers([Answer(text)], encoded.shortened)

    def _predict(self, rows: Sequence[Row]) -> list[Prediction]:
        form = self.plan.form
        if isinstance(form, GenerationForm):  # without the loss of an answer, which nobody gave
            return [Prediction(text, 0.0) for text in form.write(self.model, rows)]
        return form.predict(self.model, rows)

    def _answer(self, example: Example, said: Prediction) -> Answer:
        numbers = [value for value in (said.value, *said.scores) if isinstance(value, float)]
        if any(math.isnan(value) for value in numbers) or math.inf in numbers:
            place = f"{example.place}: " if example.place else ""
            raise NotFiniteError(
                f"{place}The model's scores of this row are not finite.",
                hint="The run may be one that failed; evaluate it: loretta eval RUN",
            )
        return make_answer(self.plan.data.task, example, said.value, said.scores)


def load_predictor(asked: AskedRun, *, note: Note | None = None) -> Predictor:
    """Load the model of a run that is to be asked.

    Args:
        asked: The run.
        note: Told what could not be checked.

    Raises:
        RunError: If the adapter cannot be loaded, or adapter or base are not those of the training.
        ModelError: If the base model cannot be read.
    """
    check_base_is_there(asked.run)
    plan = make_plan(asked.config, TaskData(asked.task, (), ()))
    if asked.stage is not None and has_own_heads(asked.run, plan.form.name):
        return Predictor(plan, load_adapter(plan, asked.stage, shared=asked.run, note=note))
    return Predictor(plan, load_adapter(plan, asked.run, adapter=asked.adapter, note=note))
