"""The generation form: a language model answers a prompt in its own words.

Trained by teacher forcing: the loss is the mean of the answer's tokens, the stop behind it included, so that
the model learns to end. The loss of several rows is the mean of all their tokens, in training as in
evaluation. Evaluated by greedy decoding up to a stop, as in MeZO.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import nn

from loretta_cli.models.families import Form
from loretta_cli.tasks.base import Example, Generation, Texts
from loretta_cli.tasks.encoding import continuations, fitting_prompt
from loretta_cli.tasks.forms.base import Prediction, Row
from loretta_cli.tasks.forms.greedy import write
from loretta_cli.tasks.forms.prompt import PromptForm
from loretta_cli.tasks.forms.streaming import Tell
from loretta_cli.tasks.forms.text_to_text import TextToTextForm
from loretta_cli.tasks.forms.token_losses import predict_losses
from loretta_cli.tasks.scoring import Objective, TeacherForcing

ROOM_HINT = (
    "Raise data.max_length. Room is left for the answer, or for task.max_new_tokens tokens if that is more: "
    "lower it, or shorten the answer."
)


@dataclass(frozen=True, slots=True)
class GenerationForm(PromptForm):
    """A prompt and, as the one option behind it, the first accepted answer."""

    name: ClassVar[Form] = "generation"

    @property
    def generation(self) -> Generation:
        """The task's prompt and answers."""
        assert self.task.generation is not None, "a form is made for a task that has it"
        return self.task.generation

    @property
    def room(self) -> int:
        """How many tokens are kept free for an answer of the model."""
        return self.generation.max_new_tokens if self.task.writes else 0

    @property
    def objective(self) -> Objective:
        """The answer's loss."""
        return TeacherForcing()

    def _encode(self, example: Example) -> tuple[Row, bool]:
        answer = self.generation.answer(example.answers[0])
        answer_ids: list[int] = []

        def tokens(texts: Texts) -> tuple[list[int], int]:
            nonlocal answer_ids
            prompt = self.generation.render(texts)
            ids, answer_ids = self._joined(prompt, answer)
            return ids, len(ids) + max(len(answer_ids), self.room)

        ids, is_cut = fitting_prompt(
            example.texts, self.generation.cut, self.tokenizer, self.max_length, tokens, ROOM_HINT
        )
        return row_of(ids, answer_ids), is_cut

    def _joined(self, prompt: str, answer: str) -> tuple[list[int], list[int]]:
        """Tokens of a prompt and of what is learned behind it: the answer and its end."""
        stop = self.generation.stop
        ids, (found,) = continuations(prompt, [answer + (stop[0] if stop else "")], self.tokenizer)
        end = self.tokenizer.eos_token_id
        return ids, found if stop or end is None else [*found, end]

    def predict(self, model: nn.Module, rows: Sequence[Row]) -> list[Prediction]:
        """The text that the model writes for each row, and the loss of the answer, weighted by its tokens."""
        losses = predict_losses(self, model, rows)
        return [replace(one, value=text) for one, text in zip(losses, self.write(model, rows), strict=True)]

    def write(self, model: nn.Module, rows: Sequence[Row], *, tell: Tell | None = None) -> list[str]:
        """The text that the model writes for each row; of one row, ``tell`` is told it piece by piece."""
        return write(
            model,
            [row["input_ids"] for row in rows],
            [row.get("stops", self.generation.stop) for row in rows],
            self.tokenizer,
            max_new_tokens=self.generation.max_new_tokens,
            side="left",
            tell=tell,
        )


def row_of(prompt: list[int], answer: list[int]) -> Row:
    """The row of a prompt with an answer; it weighs as many rows as the answer has tokens."""
    return {"input_ids": prompt, "options": [answer], "labels": 0, "weight": len(answer)}


@dataclass(frozen=True, slots=True)
class TextToTextGenerationForm(GenerationForm, TextToTextForm):
    """A prompt for the encoder, and an answer of the decoder; the end-of-text token ends it."""

    def _encode(self, example: Example) -> tuple[Row, bool]:
        row, is_cut = GenerationForm._encode(self, example)
        return {**row, "decoder_input_ids": [self.decoder_start]}, is_cut

    def _joined(self, prompt: str, answer: str) -> tuple[list[int], list[int]]:
        ids = self.tokenizer(prompt, verbose=False)["input_ids"]
        found = self.tokenizer(answer.strip(), add_special_tokens=False, verbose=False)["input_ids"]
        return list(ids), [*found, self.tokenizer.eos_token_id]

    def write(self, model: nn.Module, rows: Sequence[Row], *, tell: Tell | None = None) -> list[str]:
        """The text that the decoder writes for each row."""
        return write(
            model,
            [row["input_ids"] for row in rows],
            [self.generation.stop for _ in rows],
            self.tokenizer,
            max_new_tokens=self.generation.max_new_tokens,
            side="right",
            decoder_start=self.decoder_start,
            tell=tell,
        )
