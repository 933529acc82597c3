"""Chats: rows with a list of messages, the last one the answer that is learned.

Messages have ``role`` and ``content``, as most data sets write them, or ``from`` and ``value``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from loretta_cli.tasks.base import SOME_ANSWER, CellValues, Example, Generation
from loretta_cli.tasks.cells import Cells
from loretta_cli.tasks.own.lists import read_list

MESSAGE_NAMES = ("messages", "conversations", "conversation", "chat")
ROLES = ("system", "user", "assistant")
_EXAMPLE = '[{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]'
_OTHER_ROLES = {"human": "user", "gpt": "assistant"}
MESSAGES = "messages"
"""The text of an example in which the form looks for the messages before the answer."""
CHAT = Generation(render=lambda row: row[MESSAGES], cut=MESSAGES, is_chat=True, max_new_tokens=256)


def read_chat(cells: Cells, column: str) -> Example:
    """A row: its messages before the last, as JSON, and the last one, which the assistant says.

    Raises:
        DataError: If the cell holds no messages, or they do not end with one of the assistant behind another.
    """
    messages = [
        _message(cells, column, number, message)
        for number, message in enumerate(read_list(cells, column, of="messages", such_as=_EXAMPLE), start=1)
    ]
    if not messages or messages[-1]["role"] != "assistant":
        found = f"of the {messages[-1]['role']}" if messages else "none"
        raise cells.error(
            column,
            f"the last message is {found}, expected one of the assistant.",
            hint="The last message is the answer that is learned; remove what follows it, or the row.",
        )
    if not any(message["role"] == "user" for message in messages):
        raise cells.error(column, "the messages have none of the user.")
    before = json.dumps(messages[:-1], ensure_ascii=False)
    return Example({MESSAGES: before}, answers=((messages[-1]["content"],),))


def with_answer(values: CellValues, column: str) -> CellValues:
    """The cell of a chat with an answer at its end: put there if the last message is not the assistant's.

    A text that is no list of messages is what the user says.

    Args:
        values: The cells of a row.
        column: Where the chat stands.
    """
    cell = values.get(column)
    if isinstance(cell, str):
        cell = _listed(cell)
    if not isinstance(cell, (list, tuple)) or not cell:
        return {}
    last = cell[-1] if isinstance(cell[-1], Mapping) else {}
    role = str(last.get("role", last.get("from")))
    is_answered = _OTHER_ROLES.get(role, role) == "assistant"
    return {column: [*cell] if is_answered else [*cell, {"role": "assistant", "content": SOME_ANSWER}]}


def _listed(text: str) -> list[object]:
    """The messages that a text holds as JSON, or the text as the one message of the user."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, list) and found and all(isinstance(message, dict) for message in found):
        return found
    return [{"role": "user", "content": text}]


def _message(cells: Cells, column: str, number: int, message: object) -> dict[str, str]:
    """One message as ``role`` and ``content``."""
    fields = message if isinstance(message, Mapping) else {}
    role, content = fields.get("role", fields.get("from")), fields.get("content", fields.get("value"))
    role = _OTHER_ROLES.get(str(role), role)
    if role not in ROLES:
        raise cells.error(
            column,
            f"message {number} has the role {role!r}, expected {', '.join(ROLES[:-1])} or {ROLES[-1]}.",
        )
    if not isinstance(content, str) or not content.strip():
        found = "no content" if not content or isinstance(content, str) else f"the content {content!r:.60}"
        raise cells.error(column, f"message {number} has {found}, expected a text.")
    return {"role": role, "content": content}
