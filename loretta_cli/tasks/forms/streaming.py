"""The text that a model writes, told piece by piece while it writes; the pieces together are the text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

Tell = Callable[[str], object]


class TextStream:
    """What ``generate`` calls a streamer, for one prompt.

    What may still change is held back: half a character, white space at the end, the beginning of a stop.

    Args:
        text: From tokens to the text they are, stops and all.
        cut: From that to what is said: up to the first stop.
        stops: The texts that end what is written.
        tell: Told each new piece.
    """

    def __init__(
        self,
        text: Callable[[Sequence[int]], str],
        cut: Callable[[str], str],
        stops: Sequence[str],
        tell: Tell,
    ) -> None:
        self._text = text
        self._cut = cut
        self._stops = stops
        self._tell = tell
        self._ids: list[int] = []
        self._is_prompt = True
        self._told = ""

    def put(self, value: torch.Tensor) -> None:
        """Take the prompt, then one token after the other."""
        if self._is_prompt:
            self._is_prompt = False
            return
        self._ids += value.flatten().tolist()
        self._say(self._settled())

    def end(self) -> None:
        """Nothing: what was held back is told by :meth:`finish`, once the text is known."""

    def finish(self, text: str) -> None:
        """Tell the rest of the text."""
        self._say(text)

    def _say(self, text: str) -> None:
        if len(text) > len(self._told) and text.startswith(self._told):
            self._tell(text[len(self._told) :])
            self._told = text

    def _settled(self) -> str:
        """The text so far that stays as it is."""
        text = self._text(self._ids)
        if not any(stop in text for stop in self._stops):
            begun = (
                size for stop in self._stops for size in range(1, len(stop)) if text.endswith(stop[:size])
            )
            text = text[: len(text) - max(begun, default=0)]
        return self._cut(text).rstrip("\N{REPLACEMENT CHARACTER}").rstrip()
