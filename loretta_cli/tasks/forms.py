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
from loretta_cli.tasks.scoring import Scorer, head_scores, option_scores, text_to_text_scores
from loretta_cli.tasks.text_to_text import TextToTextCollator, check_end_tokens, encode_text_to_text

LONGEST = {"classification": 256, "prompt": 1024}
"""``data.max_length`` where it is not set: enough for the passages of BoolQ, small enough for a laptop."""


@dataclass(frozen=True, slots=True)
class TaskForm:
    """A form with its tokenizer.

    Args:
        name: ``classification`` or ``prompt``.
        tokenizer: The model's tokenizer.
        max_length: Longest row in tokens.
        decoder_start: Of an encoder-decoder: the token that its decoder begins with. Its prompt form is text
            to text.
    """

    name: Form
    tokenizer: Any
    max_length: int
    decoder_start: int | None = None

    @property
    def task_type(self) -> str:
        """PEFT's task type."""
        if self.name == "classification":
            return "SEQ_CLS"
        return "CAUSAL_LM" if self.decoder_start is None else "SEQ_2_SEQ_LM"

    @property
    def scorer(self) -> Scorer:
        """From a batch to scores."""
        if self.name == "classification":
            return head_scores
        return option_scores if self.decoder_start is None else text_to_text_scores

    @property
    def collate(self) -> Callable[[Sequence[dict[str, Any]]], dict[str, torch.Tensor]]:
        """From encoded rows to a batch."""
        if self.name == "classification":
            return ClassificationCollator(self.tokenizer)
        if self.decoder_start is None:
            return PromptCollator(self.tokenizer.pad_token_id)
        return TextToTextCollator(self.tokenizer.pad_token_id)

    def encode(self, task: Task, examples: Sequence[Example]) -> Encoded:
        """From examples to encoded rows."""
        if self.name == "prompt" and self.decoder_start is not None:
            return encode_text_to_text(task, examples, self.tokenizer, self.max_length, self.decoder_start)
        encode = encode_classification if self.name == "classification" else encode_prompts
        encoded = encode(task, examples, self.tokenizer, self.max_length)
        if self.decoder_start is not None:
            check_end_tokens(encoded.rows, self.tokenizer)
        return encoded


def longest_row(form: Form, asked: int | None, config: Any) -> int:
    """``data.max_length``, or its default, within the positions that the model has."""
    positions = getattr(config, "max_position_embeddings", None) or 0
    if positions <= 0:  # T5 has no such setting, XLNet says -1
        return asked or LONGEST[form]
    if config.model_type in ("roberta", "mpnet"):
        positions -= 2  # their positions begin behind the padding index
    return min(asked or LONGEST[form], positions)
