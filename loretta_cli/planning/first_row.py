"""The first row as a model meets it: its tokens as text again, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Mapping

from loretta_cli.tasks.base import Example
from loretta_cli.tasks.forms import Row, TaskForm


def first_row(form: TaskForm, example: Example, row: Row) -> Mapping[str, str]:
    """What the model reads of a row, special tokens included, and the right answer, by name.

    Args:
        form: How the model meets the task.
        example: The row.
        row: The same as token ids.
    """
    task = form.task
    if form.name == "classification":
        texts = row["input_ids"] if isinstance(row["input_ids"][0], list) else [row["input_ids"]]
        names = [f"text of option {number}" for number in range(len(texts))] if example.options else ["text"]
        shown = {name: _text(form, ids) for name, ids in zip(names, texts, strict=True)}
        said = f"option {example.label}" if example.options else str(example.label)
        return {**shown, "answer": task.labels[int(example.label)] if task.labels else said}
    if task.kind == "language-modeling":
        return {"text": _text(form, row["input_ids"])}
    shown = {"prompt": _text(form, row["input_ids"])}
    if form.name == "generation":
        return {**shown, "answer": repr(_text(form, row["options"][0]))}
    words = task.masked.words if form.name == "masked" and task.masked else ()
    options = words or tuple(_text(form, ids) for ids in row["options"])
    is_place = task.kind != "regression"
    answer = repr(options[int(example.label)]) if is_place else str(example.label)
    return {**shown, "options": ", ".join(map(repr, options)), "answer": answer}


def _text(form: TaskForm, ids: object) -> str:
    """Tokens as text, as it was."""
    return str(form.tokenizer.decode(ids, clean_up_tokenization_spaces=False))
