"""The user's own words for a task: its prompt, its text with a gap, its options, its stops.

They come from the recipe (``task.prompt`` and its neighbours) and replace those of a task, built in or made
from the user's own columns. Each is refused where nothing reads it.

Where a prompt is too long, ``task.cut`` is cut. Where that is not given, it is the task's own column if the
template names it, else the longest one of the first rows. The user's own question or instruction
(``data.columns.text`` of ``multiple-choice``, ``data.columns.prompt`` of ``generation``) is cut only where
the template names no other column. The config of a run has the choice, so that other rows do not choose anew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from loretta_cli.config import TaskSettings
from loretta_cli.errors import ConfigError
from loretta_cli.models.families import Form
from loretta_cli.registry import suggest
from loretta_cli.tasks.base import MASK, Example, Generation, MaskedPrompt, Prompt, Task
from loretta_cli.tasks.cells import Cells
from loretta_cli.tasks.templates import Template

READ_BY: dict[str, tuple[Form, ...]] = {
    "prompt": ("prompt", "generation"),
    "masked_prompt": ("masked",),
    "cut": ("prompt", "generation", "masked"),
    "options": ("prompt", "masked"),
    "stop": ("generation",),
    "max_new_tokens": ("generation",),
}
"""The settings of ``task`` that only some forms read."""

GAP = "mask"
"""What stands for the gap in ``task.masked_prompt``, in braces like a column."""

Rows = Sequence[Mapping[str, object]]
"""The columns of a few rows."""


def templates(settings: TaskSettings) -> tuple[Template, ...]:
    """The templates that are given.

    Raises:
        ConfigError: If one is wrong in itself.
    """
    given = (("task.prompt", settings.prompt), ("task.masked_prompt", settings.masked_prompt))
    return tuple(Template.parse(key, text) for key, text in given if text is not None)


def named_columns(settings: TaskSettings) -> tuple[str, ...]:
    """The columns that the given templates name."""
    named = [column for template in templates(settings) for column in template.columns]
    return tuple(dict.fromkeys(column for column in named if column != GAP))


def reworded(task: Task, settings: TaskSettings, rows: Rows) -> Task:
    """A task with the user's words in place of its own.

    Args:
        task: The task.
        settings: The task section of the config.
        rows: The columns of the first rows; those of the very first are what templates may name.

    Raises:
        ConfigError: If the task has no place for what is given, a template names a column that there is not,
            or the options are not as many as the labels.
    """
    words = [name for name in READ_BY if getattr(settings, name) is not None]
    if not words:
        return task
    for name in words:
        if not set(READ_BY[name]) & set(task.forms):
            raise _unread(f"task.{name}", task)
    given = {template.key: template for template in templates(settings)}
    if settings.cut is not None and not given:
        raise ConfigError(
            "task.cut is set, but no prompt of your own, of which it is a column.",
            hint="Remove it, or give task.prompt or task.masked_prompt.",
        )
    _check_options(task, settings.options)
    prompt, masked = given.get("task.prompt"), given.get("task.masked_prompt")
    return dataclasses.replace(
        task,
        prompt=task.prompt and _prompt(task, task.prompt, prompt, settings, rows),
        masked=task.masked and _masked(task, task.masked, masked, settings, rows),
        generation=task.generation and _generation(task, task.generation, prompt, settings, rows),
    )


def check_read(settings: TaskSettings, form: Form) -> None:
    """Refuse words that the form of a run does not read.

    Raises:
        ConfigError: Naming the forms that read them.
    """
    for name, forms in READ_BY.items():
        if getattr(settings, name) is not None and form not in forms:
            raise ConfigError(
                f"task.{name} is set, but this run's form is {form}, which does not read it.",
                hint=f"Remove it, or choose a model for task.form={' or '.join(forms)}.",
            )


def chosen_cut(task: Task, settings: TaskSettings, form: Form) -> str | None:
    """The column that the user's template cuts, for the config of a run; None where there is no template."""
    read: dict[Form, Prompt | MaskedPrompt | Generation | None] = {
        "prompt": task.prompt,
        "masked": task.masked,
        "generation": task.generation,
    }
    found = read.get(form) if templates(settings) else None
    return None if found is None else found.cut


def reading_more(task: Task, columns: Sequence[str]) -> Task:
    """A task on the user's own columns that reads those, too, that only a template names."""

    def read(cells: Cells) -> Example:
        example = task.read(cells)
        more = {column: cells.written(column) for column in columns if column not in example.texts}
        return dataclasses.replace(example, texts={**example.texts, **more})

    return dataclasses.replace(task, read=read) if columns else task


def _unread(key: str, task: Task) -> ConfigError:
    """The error for a setting that a task does not read, for the caller to raise."""
    return ConfigError(f"{key} is set, but the task {task.name} does not read it.", hint="Remove it.")


def _check_options(task: Task, options: Sequence[str] | None) -> None:
    if options is None:
        return
    if task.kind == "choice":
        raise _unread("task.options", task)
    expected = task.labels or tuple(f"{value:g}" for value in task.values)
    if len(options) != len(expected):
        raise ConfigError(
            f"task.options has {len(options)} texts, but the task {task.name} has {len(expected)} labels: "
            f"{', '.join(expected)}.",
            hint="Give one text for each label, in this order.",
        )


def _prompt(
    task: Task, prompt: Prompt, template: Template | None, settings: TaskSettings, rows: Rows
) -> Prompt:
    options = settings.options
    texts = tuple(options) if options is not None else prompt.options
    if template is None:
        spaced = not prompt.options or prompt.options[0][0].isspace()
        return prompt if options is None else dataclasses.replace(prompt, options=_behind(texts, spaced))
    template.check(rows[0])
    return dataclasses.replace(
        prompt,
        render=template.render,
        options=_behind(texts, spaced=not template.ends_with_space),
        cut=_cut(task, prompt.cut, template, settings, rows),
    )


def _masked(
    task: Task, masked: MaskedPrompt, template: Template | None, settings: TaskSettings, rows: Rows
) -> MaskedPrompt:
    options = settings.options
    words = tuple(options) if options is not None else masked.words
    if template is None:
        return dataclasses.replace(masked, words=_behind(words, spaced=masked.words[0][0].isspace()))
    pieces = list(template.pieces)
    if pieces.count((GAP, True)) != 1:
        raise ConfigError(
            f"task.masked_prompt has {pieces.count((GAP, True))} gaps, expected one.",
            hint=f"Put {MASK} where the label word goes.",
        )
    place = pieces.index((GAP, True))
    dataclasses.replace(template, pieces=(*pieces[:place], *pieces[place + 1 :])).check(rows[0])
    before, is_column = pieces[place - 1] if place else ("", False)
    spaced = not is_column and before.endswith(" ")
    if spaced:
        # The word brings this space along, as those of the built-in tasks do.
        pieces[place - 1] = (before[:-1], False)
    fitted = dataclasses.replace(template, pieces=tuple(pieces))
    return MaskedPrompt(
        render=lambda texts: fitted.render({**texts, GAP: MASK}),
        words=_behind(words, spaced=spaced),
        cut=_cut(task, masked.cut, template, settings, rows),
    )


def _generation(
    task: Task,
    generation: Generation,
    template: Template | None,
    settings: TaskSettings,
    rows: Rows,
) -> Generation:
    for name in ("prompt", "stop"):
        if generation.is_chat and getattr(settings, name) is not None:
            raise ConfigError(
                f"task.{name} is set, but the rows are chat messages, which the model's chat template joins.",
                hint="Remove it, or name the columns of a prompt and a completion in data.columns.",
            )
    if template is not None:
        template.check(rows[0])
        answer, space = generation.answer, "" if template.ends_with_space else " "
        generation = dataclasses.replace(
            generation,
            render=template.render,
            cut=_cut(task, generation.cut, template, settings, rows),
            answer=lambda spans: space + answer(spans).lstrip(),
        )
    return dataclasses.replace(
        generation,
        stop=generation.stop if settings.stop is None else tuple(settings.stop),
        max_new_tokens=settings.max_new_tokens or generation.max_new_tokens,
    )


def _behind(texts: Sequence[str], spaced: bool) -> tuple[str, ...]:
    """Options or words behind a prompt: after one space, or after none."""
    return tuple(f" {text.strip()}" if spaced else text.strip() for text in texts)


def _cut(task: Task, usual: str, template: Template, settings: TaskSettings, rows: Rows) -> str:
    """The column that is shortened, as the module's docstring says."""
    columns = [column for column in template.columns if column != GAP]
    if settings.cut is not None:
        if settings.cut not in columns:
            raise ConfigError(
                f"task.cut is {settings.cut!r}, which {template.key} does not name.",
                hint=suggest(settings.cut, columns, plural="columns"),
            )
        return settings.cut
    is_asked = bool(task.roles) and task.kind in ("choice", "generation")
    if usual in columns and not is_asked:
        return usual
    others = [column for column in columns if column != usual] or columns
    return max(others, key=lambda column: max(len(str(row.get(column, ""))) for row in rows))
