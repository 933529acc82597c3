"""A row as a model meets it: its tokens as text again, with those marked that are trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loretta_cli.planning.passes import row_length
from loretta_cli.tasks.base import Example
from loretta_cli.tasks.forms import Row, TaskForm

FIRST, LAST = 400, 160
"""Characters that are shown of the beginning and the end of a long text."""
FEW = 80
"""So many more are shown too."""


@dataclass(frozen=True, slots=True)
class RowView:
    """A row.

    Args:
        tokens: Of all that the model reads.
        trained: How many of them are trained on; 0 where a head is.
        pieces: The text, in order, each piece with whether it is trained on.
        said: What else is to be said: the label, or the options.
    """

    tokens: int
    trained: int
    pieces: Sequence[tuple[str, bool]]
    said: str

    def as_json(self) -> Mapping[str, Any]:
        """All of it, uncut."""
        pieces = [{"text": text, "trained": is_trained} for text, is_trained in self.pieces]
        return {"tokens": self.tokens, "trained_tokens": self.trained, "pieces": pieces, "said": self.said}

    @property
    def shown(self) -> list[tuple[str, bool]]:
        """The pieces on one line each, the long ones without their middle."""
        return [(_shortened(text.replace("\n", "\\n")), is_trained) for text, is_trained in self.pieces]


def view_of(form: TaskForm, example: Example, row: Row) -> RowView:
    """Look at a row.

    Args:
        form: How the model meets the task.
        example: The row.
        row: The same as token ids.
    """
    task = form.task
    if form.name == "classification":
        return _of_head(form, example, row)
    ids = row["input_ids"]
    if task.kind == "language-modeling":
        pieces = [(_text(form, ids[:1]), False), (_text(form, ids[1:]), True)]
        return RowView(len(ids), len(ids) - 1, pieces, "every token but the first is learned")
    if form.name == "masked":
        return _of_mask(form, example, row)
    options = row["options"]
    prompt = (_text(form, ids), False)
    if task.kind == "regression":
        named = ", ".join(repr(_text(form, option)) for option in options)
        said = f"score {example.label}: the one expected over the options {named}"
        return RowView(row_length(row), 0, [prompt], said)
    right = options[0 if form.name == "generation" else int(example.label)]
    pieces = [prompt, (_text(form, right), True)]
    if form.name == "generation":
        said = "the answer and its end are learned"
    elif task.kind == "choice":
        said = f"the right one of {len(options)} options is learned"
    else:
        said = "one of " + ", ".join(repr(_text(form, option)) for option in options)
    if "decoder_input_ids" in row:
        said += "; the decoder writes it, behind what the encoder reads"
    return RowView(row_length(row), len(right), pieces, said)


def _of_head(form: TaskForm, example: Example, row: Row) -> RowView:
    """A text, and the label that a head says of it."""
    task, ids = form.task, row["input_ids"]
    if example.options:
        right = int(example.label)
        said = f"text {right + 1} of {len(ids)}, the right one: a head ranks them, no token is trained on"
        return RowView(row_length(row), 0, [(_text(form, ids[right]), False)], said)
    name = repr(task.labels[int(example.label)]) if task.labels else str(example.label)
    said = f"label {name}, trained through the head: no token is trained on"
    return RowView(len(ids), 0, [(_text(form, ids), False)], said)


def _of_mask(form: TaskForm, example: Example, row: Row) -> RowView:
    """A text whose gap is filled with a label word."""
    ids: Any = row["input_ids"]
    words = form.task.masked.words if form.task.masked is not None else ()
    gap = ids.index(form.tokenizer.mask_token_id)
    is_place = form.task.kind != "regression"
    filled = words[int(example.label)] if is_place else str(example.label)
    pieces = [
        (_text(form, ids[:gap]), False),
        (f"{form.tokenizer.mask_token}={filled.strip()}", True),
        (_text(form, ids[gap + 1 :]), False),
    ]
    return RowView(len(ids), 1, pieces, "one of " + ", ".join(map(repr, words)))


def _text(form: TaskForm, ids: object) -> str:
    return str(form.tokenizer.decode(ids, clean_up_tokenization_spaces=False))


def _shortened(text: str) -> str:
    left_out = len(text) - FIRST - LAST
    return text if left_out <= FEW else f"{text[:FIRST]} […{left_out:,} characters…] {text[-LAST:]}"
