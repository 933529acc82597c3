"""From examples to token ids, in both forms. Imports torch only for the tensors of a batch.

Classification: text (and second text) as the tokenizer joins them. Prompt: the prompt's tokens and, for
each option, the tokens that follow it; a prompt that is too long loses the end of its ``cut`` column,
never the question or the options.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch

from loretta_cli.errors import ConfigError, DataError
from loretta_cli.tasks.base import Example, Prompt, Task


class Tokenizer(Protocol):
    """What is used of a transformers tokenizer."""

    pad_token_id: int | None

    def __call__(self, *texts: str, **options: Any) -> Any:
        """Tokens of a text or a pair."""

    def decode(self, ids: Sequence[int], **options: Any) -> Any:
        """Text of tokens."""

    def pad(self, rows: Any, **options: Any) -> Any:
        """Rows of one length."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Examples as token ids, in the order given.

    Args:
        rows: One mapping an example, as the collator of the form takes it.
        shortened: How many examples were too long and lost text.
    """

    rows: tuple[dict[str, Any], ...]
    shortened: int

    def by_length(self) -> Encoded:
        """The same rows, shortest first, so that batches need little padding."""
        return Encoded(tuple(sorted(self.rows, key=lambda row: len(row["input_ids"]))), self.shortened)


def encode_classification(
    task: Task, examples: Sequence[Example], tokenizer: Tokenizer, max_length: int
) -> Encoded:
    """Rows ``{"input_ids", ..., "labels"}`` for a classification head."""
    rows, shortened = [], 0
    for example in examples:
        texts = [example.texts[column] for column in task.text_columns]
        full = tokenizer(*texts, truncation=False, verbose=False)
        if len(full["input_ids"]) > max_length:
            shortened += 1
            full = tokenizer(*texts, truncation=True, max_length=max_length)
        rows.append({**full, "labels": example.label})
    return Encoded(tuple(rows), shortened)


def encode_prompts(task: Task, examples: Sequence[Example], tokenizer: Tokenizer, max_length: int) -> Encoded:
    """Rows ``{"input_ids", "options", "labels"}`` for option ranking.

    ``options`` holds, for each label, the token ids that follow the prompt. They are found by
    tokenizing prompt and option together, as the model would meet them.

    Raises:
        DataError: If a prompt cannot be made short enough.
        ConfigError: If two options have the same tokens.
    """
    rows, shortened = [], 0
    for example in examples:
        prompt_ids, options, cut = _encode_prompt(task.prompt, example, tokenizer, max_length)
        shortened += cut
        rows.append({"input_ids": prompt_ids, "options": options, "labels": example.label})
    return Encoded(tuple(rows), shortened)


def _encode_prompt(
    prompt: Prompt, example: Example, tokenizer: Tokenizer, max_length: int
) -> tuple[list[int], list[list[int]], bool]:
    options: list[list[int]] = []

    def tokens(texts: Mapping[str, str]) -> tuple[list[int], int]:
        nonlocal options
        ids, options = _tokens(prompt, texts, tokenizer)
        return ids, len(ids) + max(map(len, options))

    ids, cut = fitting_prompt(prompt, example, tokenizer, max_length, tokens)
    return ids, options, cut


def fitting_prompt(
    prompt: Prompt,
    example: Example,
    tokenizer: Tokenizer,
    max_length: int,
    tokens: Callable[[Mapping[str, str]], tuple[list[int], int]],
) -> tuple[list[int], bool]:
    """The tokens of a prompt that fits, and whether its ``cut`` column lost text for it.

    Args:
        prompt: The prompt form of the task.
        example: Its row.
        tokenizer: Of the model.
        max_length: What it must fit.
        tokens: From the columns' texts to the prompt's tokens, and how long the row is with them.

    Raises:
        DataError: If it does not fit even without its ``cut`` column.
    """
    texts = dict(example.texts)
    ids, length = tokens(texts)
    excess = length - max_length
    cut = excess > 0
    whole = tokenizer(texts[prompt.cut], add_special_tokens=False, verbose=False)["input_ids"] if cut else []
    kept = len(whole)
    while excess > 0:
        # Counted in the tokens of the whole text, so that it shrinks each time and the loop ends.
        kept -= excess
        if kept <= 0:
            raise DataError(
                f"A prompt does not fit data.max_length={max_length} tokens, even without its {prompt.cut}.",
                hint="Raise data.max_length.",
            )
        # A character of several tokens that is cut in two decodes to a replacement character.
        text = tokenizer.decode(whole[:kept], skip_special_tokens=True)
        texts[prompt.cut] = text.rstrip("\N{REPLACEMENT CHARACTER}")
        ids, length = tokens(texts)
        excess = length - max_length
    return ids, cut


def _tokens(
    prompt: Prompt, texts: Mapping[str, str], tokenizer: Tokenizer
) -> tuple[list[int], list[list[int]]]:
    """Tokens of the prompt, and of each option behind it."""
    text = prompt.render(texts)
    alone = tokenizer(text, verbose=False)["input_ids"]
    joined = [tokenizer(text + option, verbose=False)["input_ids"] for option in prompt.options]
    # Where the last prompt token merges with an option's first, the prompt ends one token earlier.
    shared = len(alone)
    while shared and any(ids[:shared] != alone[:shared] for ids in joined):
        shared -= 1
    options = [_without_end(ids[shared:], tokenizer) for ids in joined]
    check_options(prompt, options)
    return list(alone[:shared]), options


def check_options(prompt: Prompt, options: Sequence[Sequence[int]]) -> None:
    """Refuse options that have no tokens, or the same ones.

    Raises:
        ConfigError: Naming the options.
    """
    if not all(options) or len({tuple(ids) for ids in options}) < len(options):
        raise ConfigError(
            f"The options {list(prompt.options)} cannot be told apart by this tokenizer.",
            hint="Rename the labels, or use --set task.form=classification.",
        )


def _without_end(ids: list[int], tokenizer: Any) -> list[int]:
    """Drop an end-of-text token that some tokenizers add behind every text."""
    end = getattr(tokenizer, "eos_token_id", None)
    return ids[:-1] if len(ids) > 1 and ids[-1] == end else ids


@dataclass(frozen=True, slots=True)
class ClassificationCollator:
    """Pads classification rows to the longest of the batch."""

    tokenizer: Tokenizer

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """``input_ids`` and masks ``(batch, length)``, ``labels`` ``(batch,)``."""
        inputs = [{name: value for name, value in row.items() if name != "labels"} for row in rows]
        batch = dict(self.tokenizer.pad(inputs, return_tensors="pt"))
        batch["labels"] = torch.tensor([row["labels"] for row in rows])
        return batch


@dataclass(frozen=True, slots=True)
class PromptCollator:
    """Left-pads prompts with their options.

    Where every option is one token, a prompt is one row and the options are read off its last
    position. Otherwise a prompt makes one row an option.
    """

    pad_token_id: int

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Make a batch.

        Returns:
            ``input_ids`` and ``attention_mask`` ``(rows, length)``, ``labels`` ``(batch,)``, and either
            ``option_tokens`` ``(batch, options)`` or ``option_lengths`` ``(batch, options)``.
        """
        single = all(len(option) == 1 for row in rows for option in row["options"])
        if single:
            texts = [row["input_ids"] for row in rows]
        else:
            texts = [row["input_ids"] + option for row in rows for option in row["options"]]
        batch = padded(texts, self.pad_token_id, side="left")
        if single:
            batch["option_tokens"] = torch.tensor([[option[0] for option in row["options"]] for row in rows])
        else:
            batch["option_lengths"] = torch.tensor([list(map(len, row["options"])) for row in rows])
        batch["labels"] = torch.tensor([row["labels"] for row in rows])
        return batch


def padded(
    texts: Sequence[Sequence[int]], pad_token_id: int, *, side: Literal["left", "right"]
) -> dict[str, torch.Tensor]:
    """``input_ids`` and ``attention_mask`` ``(texts, length)``, with padding on one side."""
    length = max(map(len, texts))
    ids = torch.full((len(texts), length), pad_token_id)
    mask = torch.zeros((len(texts), length), dtype=torch.long)
    for index, text in enumerate(texts):
        start = length - len(text) if side == "left" else 0
        ids[index, start : start + len(text)] = torch.tensor(text)
        mask[index, start : start + len(text)] = 1
    return {"input_ids": ids, "attention_mask": mask}
