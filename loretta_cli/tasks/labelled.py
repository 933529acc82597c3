"""The usual task: one or more texts and one of a few labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loretta_cli.tasks.base import MASK, Example, MaskedPrompt, Prompt, Render, Task
from loretta_cli.tasks.cells import Cells


def labelled_task(
    name: str,
    *,
    texts: tuple[str, ...],
    labels: tuple[str, ...],
    prompt: Prompt,
    masked: MaskedPrompt | None = None,
    label: str = "label",
    made: Mapping[str, Render] | None = None,
    head: tuple[str, ...] = (),
    group: Render | None = None,
    metrics: tuple[str, ...] = ("accuracy",),
    version: int = 1,
    by_name: bool = False,
    **others: Any,
) -> Task:
    """A classification task of one text or more.

    Args:
        name: As on the command line.
        texts: The columns with the texts.
        labels: Label names; the number of a label is its place here.
        prompt: The prompt form, with one option a label.
        masked: The form for masked language models, with one word a label.
        label: Column with the label: its number, or its name.
        made: Further texts, made of those of the columns.
        head: The one or two texts that a classification head reads; those of ``texts`` if it is empty.
        group: What the rows of one group have in common.
        metrics: Names of the metrics, the main one first.
        version: Of the task.
        by_name: Whether a cell holds a label's name only.
        **others: Further fields of :class:`Task`.
    """

    def read(cells: Cells) -> Example:
        found = cells.texts(*texts)
        further = {key: make(found) for key, make in (made or {}).items()}
        number = cells.label(label, labels, by_name=by_name)
        return Example({**found, **further}, number, group=group(found) if group else "")

    return Task(
        name=name,
        version=version,
        kind="classification",
        columns=(*texts, label),
        read=read,
        metrics=metrics,
        labels=labels,
        head=head or texts,
        prompt=prompt,
        masked=masked,
        **others,
    )


def answered_in_a_gap(prompt: Prompt) -> MaskedPrompt:
    """The masked form of a prompt that ends with a question: a gap stands where the answer goes."""
    return MaskedPrompt(
        render=lambda row: f"{prompt.render(row).rstrip()}{MASK}.",
        words=tuple(f" {option.strip()}" for option in prompt.options),
        cut=prompt.cut,
    )
