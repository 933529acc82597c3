"""What differs between the two forms of a task, in one value: encoding, collating, scoring, PEFT type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from loretta_cli.models.families import Form
from loretta_cli.tasks import Example, Task
from loretta_cli.tasks.encoding import (
    ClassificationCollator,
    Encoded,
    PromptCollator,
    encode_classification,
    encode_prompts,
)
from loretta_cli.tasks.scoring import Scorer, head_scores, option_scores

LONGEST = {"classification": 256, "prompt": 1024}
"""``data.max_length`` where it is not set: enough for the passages of BoolQ, small enough for a laptop."""


@dataclass(frozen=True, slots=True)
class TaskForm:
    """A form with its tokenizer.

    Args:
        name: ``classification`` or ``prompt``.
        tokenizer: The model's tokenizer.
        max_length: Longest row in tokens.
    """

    name: Form
    tokenizer: Any
    max_length: int

    @property
    def task_type(self) -> str:
        """PEFT's task type."""
        return "SEQ_CLS" if self.name == "classification" else "CAUSAL_LM"

    @property
    def scorer(self) -> Scorer:
        """From a batch to scores."""
        return head_scores if self.name == "classification" else option_scores

    @property
    def collate(self) -> Callable[[Sequence[dict[str, Any]]], dict[str, torch.Tensor]]:
        """From encoded rows to a batch."""
        if self.name == "classification":
            return ClassificationCollator(self.tokenizer)
        return PromptCollator(self.tokenizer.pad_token_id)

    def encode(self, task: Task, examples: Sequence[Example]) -> Encoded:
        """From examples to encoded rows."""
        encode = encode_classification if self.name == "classification" else encode_prompts
        return encode(task, examples, self.tokenizer, self.max_length)


def longest_row(form: Form, asked: int | None, config: Any) -> int:
    """``data.max_length``, or its default, within the positions that the model has."""
    positions = getattr(config, "max_position_embeddings", None) or LONGEST[form]
    if config.model_type == "roberta":
        positions -= 2  # its positions begin behind the padding index
    return min(asked or LONGEST[form], positions)
