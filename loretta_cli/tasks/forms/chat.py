"""The generation form of chats: the tokenizer's chat template makes the prompt, and ends the answer.

What is learned is what the template adds to the prompt for the last message. Of a chat that is too long the
oldest turns go, but never the system message.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from loretta_cli.errors import ConfigError, DataError
from loretta_cli.tasks.base import Example
from loretta_cli.tasks.encoding import continuations
from loretta_cli.tasks.forms.base import Row
from loretta_cli.tasks.forms.generation import ROOM_HINT, GenerationForm, row_of

Messages = Sequence[dict[str, Any]]

SOME_ANSWER = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands for an answer where only the text behind it matters; no template has it."""


@dataclass(frozen=True, slots=True)
class ChatForm(GenerationForm):
    """The messages before an answer, and the answer."""

    def _encode(self, example: Example) -> tuple[Row, bool]:
        messages = json.loads(example.texts["messages"])
        answer = "".join(example.answers[0])
        is_cut = False
        while True:
            prompt, added = self._templated(messages, answer)
            ids, (found,) = continuations(prompt, [added], self.tokenizer, add_special_tokens=False)
            if len(ids) + max(len(found), self.room) <= self.max_length:
                break
            messages = _without_oldest_turn(messages, self.max_length)
            is_cut = True
        end = self._templated(messages, SOME_ANSWER)[1].partition(SOME_ANSWER)[2].strip()
        return {**row_of(ids, found), "stops": (end,) if end else ()}, is_cut

    def _templated(self, messages: Messages, answer: str) -> tuple[str, str]:
        """The text of the messages before an answer, and what the template adds for the answer."""
        prompt = self._apply(messages, add_generation_prompt=True)
        whole = self._apply([*messages, {"role": "assistant", "content": answer}])
        # Some templates begin an answer (with an empty thought) where they find none.
        pairs = zip(prompt, whole, strict=False)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        return whole[:shared], whole[shared:]

    def _apply(self, messages: Messages, **options: Any) -> str:
        if not self.tokenizer.chat_template:
            raise ConfigError(
                "The model's tokenizer has no chat template, which messages need.",
                hint="Choose a chat model, or give prompts and completions in two columns.",
            )
        from jinja2 import TemplateError

        try:
            return str(self.tokenizer.apply_chat_template(messages, tokenize=False, **options))
        except TemplateError as error:
            roles = ", ".join(str(message.get("role")) for message in messages)
            raise DataError(
                f"The model's chat template refuses messages of the roles {roles}: {error}."
            ) from error


def _without_oldest_turn(messages: Messages, max_length: int) -> Messages:
    """Messages without what was first said by the user, and the answers to it.

    Raises:
        DataError: If there is one turn only.
    """
    users = [place for place, message in enumerate(messages) if message["role"] == "user"]
    if len(users) < 2:
        raise DataError(
            f"The last turn of a chat does not fit data.max_length={max_length} tokens.",
            hint=ROOM_HINT,
        )
    return [*messages[: users[0]], *messages[users[1] :]]
