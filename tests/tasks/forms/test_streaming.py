"""A text told in pieces: nothing is told that is taken back, and the pieces are the text."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from loretta_cli.tasks.forms.streaming import TextStream
from tests.tiny_folders import decoder_tokenizer


def told(pieces: Sequence[Sequence[int]], text: str, stops: Sequence[str] = ()) -> list[str]:
    """What is told while tokens come; ``text`` is what they make in the end."""
    tokenizer = decoder_tokenizer()

    def cut(text: str) -> str:
        for stop in stops:
            text = text.partition(stop)[0]
        return text.strip()

    found: list[str] = []
    stream = TextStream(lambda ids: str(tokenizer.decode(list(ids))), cut, stops, found.append)
    stream.put(torch.tensor([[1, 2, 3]]))  # the prompt
    for ids in pieces:
        stream.put(torch.tensor(list(ids)))
    stream.end()
    stream.finish(text)
    return found


def tokens(text: str) -> list[list[int]]:
    return [[token] for token in decoder_tokenizer()(text, add_special_tokens=False)["input_ids"]]


@pytest.mark.parametrize("text", ["the film was great and very fun", "a  b", "x", "", "Łódź 名 é"])
def test_the_pieces_together_are_the_text(text: str) -> None:
    found = told(tokens(f" {text} "), text)

    assert "".join(found) == text
    assert all(found), "no empty pieces"
    assert len(found) >= min(len(text.split()), 2)


def test_half_a_character_is_held_back() -> None:
    pieces = tokens("名")
    assert len(pieces) > 1, "or nothing is tested"

    assert told(pieces, "名") == ["名"]


def test_the_beginning_of_a_stop_is_held_back_until_it_is_none() -> None:
    stops = ("###",)

    begun = told(tokens("no ##"), "no", stops)
    ended = told(tokens("no ###yes"), "no", stops)
    going_on = told(tokens("no ## yes"), "no ## yes", stops)

    assert "".join(begun) == "".join(ended) == "no"
    assert "".join(going_on) == "no ## yes"


def test_what_is_cut_off_at_the_end_is_told_all_the_same() -> None:
    assert "".join(told(tokens("no ##"), "no ##", ("###",))) == "no ##"


def test_a_text_that_turns_out_another_is_not_told_twice() -> None:
    assert told(tokens("the film"), "another")[-1] != "another"
