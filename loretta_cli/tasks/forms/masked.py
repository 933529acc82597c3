"""The masked form: a masked language model fills a gap in a text with a label word (MeZO, Section 3).

The score of a label is the log-probability of its word. Logits are computed at the gaps only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from loretta_cli.errors import ConfigError, DataError
from loretta_cli.models.families import Form
from loretta_cli.tasks.base import MASK, Example, MaskedPrompt, Task, Texts
from loretta_cli.tasks.encoding import check_options, fitting_prompt, named_row, padded
from loretta_cli.tasks.forms.base import Batch, Encoded, Row
from loretta_cli.tasks.forms.causal import unwrapped
from loretta_cli.tasks.forms.options import OptionForm, labels_of


@dataclass(frozen=True, slots=True)
class MaskedForm(OptionForm):
    """A text with a gap for one of the label words.

    Args:
        words: The token of each label word.
    """

    words: tuple[int, ...]
    name: ClassVar[Form] = "masked"

    @property
    def prompt(self) -> MaskedPrompt:
        """The task's text with a gap."""
        assert self.task.masked is not None, "a form is made for a task that has it"
        return self.task.masked

    def encode(self, examples: Sequence[Example]) -> Encoded:
        """Rows ``{"input_ids", "labels"}``, each with one mask token."""
        rows: list[Row] = []
        shortened = 0
        for example in examples:
            with named_row(example):
                ids, cut = fitting_prompt(
                    example.texts, self.prompt.cut, self.tokenizer, self.max_length, self._tokens
                )
            shortened += cut
            rows.append({"input_ids": ids, "labels": example.label})
        return Encoded(tuple(rows), shortened)

    def _tokens(self, texts: Texts) -> tuple[list[int], int]:
        text = self.prompt.render(texts).replace(MASK, self.tokenizer.mask_token)
        ids = list(self.tokenizer(text, verbose=False)["input_ids"])
        if ids.count(self.tokenizer.mask_token_id) != 1:
            raise DataError(
                f"A text holds {self.tokenizer.mask_token} or {MASK}, which stands for the label word in the "
                f"masked form: {text[:200]!r}.",
                hint="Remove it from the text, or use --set task.form=classification.",
            )
        return ids, len(ids)

    def collate(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """``input_ids`` and ``attention_mask`` ``(rows, length)``, and ``labels`` ``(rows,)``."""
        texts = padded([row["input_ids"] for row in rows], self.tokenizer.pad_token_id, side="right")
        return {**texts, "labels": labels_of(rows)}

    def scores(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Log-probability of each label word at the gap, ``(rows, words)``."""
        ids = batch["input_ids"]
        gaps = ids == self.tokenizer.mask_token_id
        with _logits_only_at(gaps, model):
            logits = model(input_ids=ids, attention_mask=batch["attention_mask"]).logits
        at_gaps = logits if logits.dim() == 2 else logits[gaps]
        log_probabilities: torch.Tensor = at_gaps.float().log_softmax(dim=-1)
        return log_probabilities[:, list(self.words)]


def label_words(task: Task, tokenizer: Any) -> tuple[int, ...]:
    """The token of each label word of a task.

    Raises:
        ConfigError: If the tokenizer has no mask, or a word is not one token of it.
    """
    assert task.masked is not None, "a form is made for a task that has it"
    hint = "Use --set task.form=classification, or another model."
    if tokenizer.mask_token is None:
        raise ConfigError("The tokenizer of this model has no mask token.", hint=hint)
    words = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in task.masked.words]
    for word, ids in zip(task.masked.words, words, strict=True):
        if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
            raise ConfigError(
                f"The label word {word!r} of the task {task.name} must be one token, and for this tokenizer "
                f"it is {tokenizer.convert_ids_to_tokens(ids)}.",
                hint=hint,
            )
    check_options(task.masked.words, words)
    return tuple(ids[0] for ids in words)


@contextmanager
def _logits_only_at(gaps: torch.Tensor, model: Any) -> Iterator[None]:
    """Give the output layer its input at the gaps alone: all other logits would be most of the memory.

    Args:
        gaps: ``(rows, length)``, true at one place of each row.
        model: Whose logits become ``(rows, vocabulary)``, if it has an output layer.
    """
    output = unwrapped(model).get_output_embeddings()
    if output is None:
        yield
        return
    hook = output.register_forward_pre_hook(lambda _, inputs: (inputs[0][gaps], *inputs[1:]))
    try:
        yield
    finally:
        hook.remove()
