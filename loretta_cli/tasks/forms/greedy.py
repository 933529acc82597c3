"""Greedy decoding of a batch of prompts, each row to its own end.

A row's text does not depend on the rows beside it. Of the checkpoint's generation settings the end tokens
alone count: others may ask for sampling or penalties.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, Literal

import torch
from torch import nn
from transformers import GenerationConfig, StoppingCriteria

from loretta_cli.tasks.encoding import padded
from loretta_cli.tasks.forms.base import is_in_parts, on_device
from loretta_cli.tasks.forms.causal import has_virtual_tokens, unwrapped
from loretta_cli.tasks.forms.streaming import Tell, TextStream

Stops = tuple[str, ...]


def write(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    stops: Sequence[Stops],
    tokenizer: Any,
    *,
    max_new_tokens: int,
    side: Literal["left", "right"],
    decoder_start: int | None = None,
    tell: Tell | None = None,
) -> list[str]:
    """What a model writes behind each prompt, up to its first stop, without white space around it.

    Args:
        model: A causal language model or an encoder-decoder, with an adapter or without.
        prompts: Their tokens.
        stops: Of each prompt, the texts that end what is written.
        tokenizer: Of the model.
        max_new_tokens: Longest text.
        side: Where the padding of prompts goes.
        decoder_start: Of an encoder-decoder: the token that its decoder begins with.
        tell: Of one prompt: told the text piece by piece while it is written.
    """
    settings = GenerationConfig(
        do_sample=False,
        max_new_tokens=max_new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=_end_tokens(model, tokenizer) or None,
        decoder_start_token_id=decoder_start,
    )
    stream = None
    if tell is not None:
        ((*stop,),) = stops
        stream = TextStream(
            lambda ids: _text(ids, tokenizer, settings.eos_token_id or []),
            lambda text: _cut(text, stop, tokenizer),
            stop,
            tell,
        )
    found: dict[int, str] = {}
    for places in _batches(model, prompts):
        batch = padded([prompts[place] for place in places], tokenizer.pad_token_id, side=side)
        start = 1 if decoder_start is not None else batch["input_ids"].shape[1]
        ends = [stops[place] for place in places]
        with _only(model, settings), warnings.catch_warnings():
            # PEFT says so at every token behind virtual ones; without padding it makes no difference.
            warnings.filterwarnings("ignore", message="Position ids are not supported")
            written = unwrapped(model).generate(
                **on_device(batch, model),
                generation_config=settings,
                stopping_criteria=[_AtStops(tokenizer, start, ends)],
                synced_gpus=is_in_parts(model),
                streamer=stream,
            )
        texts = [_text(row, tokenizer, settings.eos_token_id or []) for row in written[:, start:].tolist()]
        found |= {
            place: _cut(text, end, tokenizer) for place, text, end in zip(places, texts, ends, strict=True)
        }
    if stream is not None:
        stream.finish(found[0])
    return [found[place] for place in range(len(prompts))]


class _AtStops(StoppingCriteria):
    """Says of each row whether one of its stops stands in what was written."""

    def __init__(self, tokenizer: Any, start: int, stops: Sequence[Stops]) -> None:
        self.tokenizer = tokenizer
        self.start = start
        self.stops = stops

    def __call__(self, input_ids: torch.Tensor, scores: Any, **others: Any) -> torch.Tensor:
        """Which rows have ended, ``(rows,)``."""
        texts = self.tokenizer.batch_decode(input_ids[:, self.start :], clean_up_tokenization_spaces=False)
        ended = [any(stop in text for stop in stops) for text, stops in zip(texts, self.stops, strict=True)]
        return torch.tensor(ended, device=input_ids.device)


def _batches(model: nn.Module, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """The places of the prompts that are read together.

    PEFT puts virtual tokens before the padding, so with those only prompts of one length go together; and one
    at a time where the model is in parts, so that all processes have as many batches.
    """
    places = range(len(prompts))
    if not has_virtual_tokens(model):
        return [list(places)]
    if is_in_parts(model):
        return [[place] for place in places]
    by_length = sorted(places, key=lambda place: len(prompts[place]))
    return [list(group) for _, group in groupby(by_length, key=lambda place: len(prompts[place]))]


def _owners(model: nn.Module) -> list[Any]:
    """The models that have generation settings: PEFT's, which it hands to the one inside, and that one."""
    outer = unwrapped(model)
    return [outer, outer.get_base_model()] if hasattr(outer, "get_base_model") else [outer]


def _end_tokens(model: nn.Module, tokenizer: Any) -> list[int]:
    """The tokens that end a text: those of the checkpoint and of the tokenizer."""
    own = _owners(model)[-1].generation_config.eos_token_id
    ends = {*(own if isinstance(own, list) else [own]), tokenizer.eos_token_id} - {None}
    return sorted(ends)


@contextmanager
def _only(model: nn.Module, settings: GenerationConfig) -> Iterator[None]:
    """Settings in place of the model's own, which would fill whatever they leave open."""
    kept = [(owner, owner.generation_config) for owner in _owners(model)]
    try:
        for owner, _ in kept:
            owner.generation_config = settings
        yield
    finally:
        for owner, own in kept:
            owner.generation_config = own


def _text(ids: Sequence[int], tokenizer: Any, ends: Sequence[int]) -> str:
    """The text of tokens up to the first end token."""
    end = next((place for place, token in enumerate(ids) if token in ends), len(ids))
    return str(tokenizer.decode(ids[:end], clean_up_tokenization_spaces=False))


def _cut(text: str, stops: Sequence[str], tokenizer: Any) -> str:
    """A text up to its first stop, without special tokens."""
    for stop in stops:
        text = text.partition(stop)[0]
    for special in tokenizer.all_special_tokens:
        text = text.replace(special, "")
    return text.strip()
