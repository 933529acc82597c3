"""Texts as token ids: prompts that fit, the tokens of options behind them, padding.

A prompt that is too long loses the end of its ``cut`` column, never the question or the options. Imports
torch only for the tensors of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol, TypeVar

import torch

from loretta_cli.errors import ConfigError, DataError
from loretta_cli.tasks.base import Example, Texts

Encoded = TypeVar("Encoded")


class Tokenizer(Protocol):
    """What is used of a transformers tokenizer."""

    pad_token_id: int | None

    def __call__(self, *texts: str, **options: Any) -> Any:
        """Tokens of a text or a pair."""

    def decode(self, ids: Sequence[int], **options: Any) -> Any:
        """Text of tokens."""

    def pad(self, rows: Any, **options: Any) -> Any:
        """Rows of one length."""


@contextmanager
def named_row(example: Example) -> Iterator[None]:
    """Have the errors of one row begin with its file and line."""
    try:
        yield
    except DataError as error:
        if not example.place:
            raise
        raise DataError(f"{example.place}: {error.message}", hint=error.hint) from error


def fitting_prompt(
    texts: Texts,
    cut: str,
    tokenizer: Tokenizer,
    max_length: int,
    tokens: Callable[[Texts], tuple[Encoded, int]],
    hint: str = "Raise data.max_length.",
) -> tuple[Encoded, bool]:
    """The tokens of a prompt that fits, and whether its ``cut`` column lost text for it.

    Args:
        texts: The row's columns.
        cut: The one that may lose its end.
        tokenizer: Of the model.
        max_length: What it must fit.
        tokens: From the columns' texts to the prompt's tokens, and how long the row is with them.
        hint: How to make it fit.

    Raises:
        DataError: If it does not fit even without its ``cut`` column.
    """
    texts = dict(texts)
    ids, length = tokens(texts)
    excess = length - max_length
    is_cut = excess > 0
    whole = tokenizer(texts[cut], add_special_tokens=False, verbose=False)["input_ids"] if is_cut else []
    kept = len(whole)
    while excess > 0:
        # Counted in the tokens of the whole text, so that it shrinks each time and the loop ends.
        kept -= excess
        if kept <= 0:
            raise DataError(
                f"A prompt does not fit data.max_length={max_length} tokens, even without its {cut}.",
                hint=hint,
            )
        # A character of several tokens that is cut in two decodes to a replacement character.
        text = tokenizer.decode(whole[:kept], skip_special_tokens=True)
        texts[cut] = text.rstrip("\N{REPLACEMENT CHARACTER}")
        ids, length = tokens(texts)
        excess = length - max_length
    return ids, is_cut


def continuations(
    prompt: str, endings: Sequence[str], tokenizer: Tokenizer, *, add_special_tokens: bool = True
) -> tuple[list[int], list[list[int]]]:
    """Tokens of a prompt, and of each text that may follow it.

    They are found by tokenizing both together, as the model would meet them: where the prompt's last token
    merges with the first of an ending, the prompt ends one token earlier.

    Args:
        prompt: The text before.
        endings: Those that may follow.
        tokenizer: Of the model.
        add_special_tokens: False where the texts have all special tokens in them.
    """
    alone, *joined = (
        tokenizer(text, add_special_tokens=add_special_tokens, verbose=False)["input_ids"]
        for text in (prompt, *(prompt + ending for ending in endings))
    )
    shared = len(alone)
    while shared and any(ids[:shared] != alone[:shared] for ids in joined):
        shared -= 1
    found = [ids[shared:] for ids in joined]
    return list(alone[:shared]), [
        _without_end(ids, tokenizer) for ids in found
    ] if add_special_tokens else found


def check_options(texts: Sequence[str], options: Sequence[Sequence[int]]) -> None:
    """Refuse options that have no tokens, or the same ones.

    Raises:
        ConfigError: Naming the options.
    """
    if not all(options) or len({tuple(ids) for ids in options}) < len(options):
        raise ConfigError(
            f"The options {list(texts)} cannot be told apart by this tokenizer.",
            hint="Rename the labels, or use --set task.form=classification.",
        )


def _without_end(ids: list[int], tokenizer: Any) -> list[int]:
    """Drop an end-of-text token that some tokenizers add behind every text."""
    end = getattr(tokenizer, "eos_token_id", None)
    return ids[:-1] if len(ids) > 1 and ids[-1] == end else ids


def padded(
    texts: Sequence[Sequence[int]], pad_token_id: int, *, side: Literal["left", "right"]
) -> dict[str, torch.Tensor]:
    """``input_ids`` and ``attention_mask`` ``(texts, length)``, with padding on one side."""
    length = max(map(len, texts))
    ids = torch.full((len(texts), length), pad_token_id)
    mask = torch.zeros((len(texts), length), dtype=torch.long)
    for index, text in enumerate(texts):
        start = length - len(text) if side == "left" else 0
        ids[index, start : start + len(text)] = torch.tensor(text, dtype=torch.long)
        mask[index, start : start + len(text)] = 1
    return {"input_ids": ids, "attention_mask": mask}
