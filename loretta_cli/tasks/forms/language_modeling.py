"""Language modelling: every token of a text is learned, and nothing is said.

A text that is longer than a row goes on in the next one. Rows share one token, so that every token but a
text's first is learned, each of them once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from loretta_cli.models.families import Form
from loretta_cli.tasks.base import Example
from loretta_cli.tasks.encoding import padded
from loretta_cli.tasks.forms.base import Encoded, Prediction, Row
from loretta_cli.tasks.forms.prompt import PromptForm
from loretta_cli.tasks.forms.token_losses import predict_losses
from loretta_cli.tasks.scoring import Objective, TeacherForcing


@dataclass(frozen=True, slots=True)
class LanguageModelingForm(PromptForm):
    """Texts in rows of at most ``max_length`` tokens; a row's loss is the mean of its tokens.

    The loss of several rows is the mean of all their tokens, in training as in evaluation.
    """

    name: ClassVar[Form] = "generation"

    @property
    def objective(self) -> Objective:
        """The loss of all tokens."""
        return TeacherForcing()

    def encode(self, examples: Sequence[Example]) -> Encoded:
        """Rows ``{"input_ids", "weight"}``, one or more a text; the end-of-text token ends each text."""
        rows: list[Row] = []
        end = self.tokenizer.eos_token_id
        for example in examples:
            ids = self.tokenizer(example.texts["text"], verbose=False)["input_ids"]
            ids = ids if end is None or ids[-1:] == [end] else [*ids, end]
            for start in range(0, len(ids) - 1, self.max_length - 1):
                part = ids[start : start + self.max_length]
                rows.append({"input_ids": part, "weight": len(part) - 1})
        return Encoded(tuple(rows), 0)

    def batch(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """Each row as one option behind its first token, as :meth:`PromptForm.scores` takes them."""
        count = len(rows)
        return {
            "options": torch.ones(count, dtype=torch.long),
            "labels": torch.zeros(count, dtype=torch.long),
            "option_lengths": torch.tensor([row["weight"] for row in rows]),
            **padded([row["input_ids"] for row in rows], self.tokenizer.pad_token_id, side="left"),
        }

    def predict(self, model: nn.Module, rows: Sequence[Row]) -> list[Prediction]:
        """No text; the loss of each row, weighted by its tokens."""
        return predict_losses(self, model, rows)
