"""The usual task: one or more texts and one of a few labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from loretta_cli.tasks.base import MASK, Example, MaskedPrompt, Prompt, Render, Scorer, Task
from loretta_cli.tasks.cells import Cells
from loretta_cli.tasks.sources import Row

NO_NAMES: Mapping[str, str] = MappingProxyType({})


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
    has_long_texts: bool = False,
    group: Render | None = None,
    metrics: tuple[str, ...] = ("accuracy",),
    scorer: Scorer = "labels",
    by_name: bool = False,
    hub_id: str | None = None,
    hub_validation: str = "validation",
    other_names: Mapping[str, str] = NO_NAMES,
    roles: Mapping[str, object] = NO_NAMES,
    leaves_out: Callable[[Row], bool] = lambda row: False,
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
        has_long_texts: As of :class:`Task`.
        group: What the rows of one group have in common.
        metrics: Names of the metrics, the main one first.
        scorer: As of :class:`Task`, like all that follow but ``by_name``.
        by_name: Whether a cell holds a label's name only.
        hub_id: The task's data on the hub.
        hub_validation: The split of a hub data set that is reported.
        other_names: Column names of other published versions, mapped to the task's own.
        roles: Of a task made from the user's own columns: role to column.
        leaves_out: Which rows of the published data are not part of the task.
    """

    def read(cells: Cells) -> Example:
        found = cells.texts(*texts)
        further = {key: make(found) for key, make in (made or {}).items()}
        number = cells.label(label, labels, by_name=by_name)
        return Example({**found, **further}, number, group=group(found) if group else "")

    return Task(
        name=name,
        version=1,
        kind="classification",
        columns=(*texts, label),
        read=read,
        metrics=metrics,
        scorer=scorer,
        labels=labels,
        head=head or texts,
        has_long_texts=has_long_texts,
        prompt=prompt,
        masked=masked,
        hub_id=hub_id,
        hub_validation=hub_validation,
        other_names=other_names,
        roles=roles,
        leaves_out=leaves_out,
        unanswered=lambda values: {label: labels[0]},
    )


def answered_in_a_gap(prompt: Prompt) -> MaskedPrompt:
    """The masked form of a prompt that ends with a question: a gap stands where the answer goes."""
    return MaskedPrompt(
        render=lambda row: f"{prompt.render(row).rstrip()}{MASK}.",
        words=tuple(f" {option.strip()}" for option in prompt.options),
        cut=prompt.cut,
    )
