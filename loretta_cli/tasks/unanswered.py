"""The task of a finished run as it is asked: rows need no answer, and no data of the training are read.

Everything that the rows had to say, columns, labels and the column that is cut, stands in the run's config.
Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from loretta_cli.config import DataSettings, TaskSettings
from loretta_cli.errors import ConfigError, DataError
from loretta_cli.tasks import OWN, TASKS
from loretta_cli.tasks.base import SOME_ANSWER, Example, Generation, Task
from loretta_cli.tasks.cells import Cells
from loretta_cli.tasks.own.generation import BESIDE_AN_INSTRUCTION, LONGEST_ANSWER
from loretta_cli.tasks.preparation import task_of_rows
from loretta_cli.tasks.sources import Row
from loretta_cli.tasks.wording import GAP, named_columns, reworded, templates

_NO_FILE = "config.yaml"
"""What messages call the row that is made of the config, should the config be broken."""


def task_to_ask(asked: TaskSettings, settings: DataSettings, *, max_new_tokens: int | None = None) -> Task:
    """The task of a run, whose ``columns`` and ``read`` ask for no answer.

    Args:
        asked: The task section of the run's config.
        settings: Its data section.
        max_new_tokens: Longest text that is written; the run's own if None.

    Raises:
        ConfigError: If the run writes no texts, and ``max_new_tokens`` is given.
    """
    if max_new_tokens is not None and asked.form != "generation":
        raise ConfigError(
            f"--max-new-tokens is for runs that write texts; the form of this one is {asked.form}.",
            hint="Leave it out.",
        )
    task, named = _task(asked, settings)
    if task.kind == "language-modeling":
        task = _going_on(task, max_new_tokens or LONGEST_ANSWER)
    elif task.generation is not None and asked.form == "generation":
        longest = max_new_tokens or task.generation.max_new_tokens
        task = _writing(replace(task, generation=replace(task.generation, max_new_tokens=longest)))
    put_in = task.unanswered({})
    columns = dict.fromkeys((*task.columns, *named))
    given = templates(asked)

    def read(cells: Cells) -> Example:
        values = {**cells.row.values, **task.unanswered(cells.row.values)}
        example = task.read(replace(cells, row=replace(cells.row, values=values)))
        for template in given:
            template.check({*example.texts, GAP})
        return example

    return replace(task, read=read, columns=tuple(column for column in columns if column not in put_in))


def check_columns(task: Task, row: Row) -> None:
    """Refuse a row that lacks a column.

    Args:
        task: Of :func:`task_to_ask`.
        row: The row.

    Raises:
        DataError: Naming the row, what it has and what is needed.
    """
    has = {*row.values, *(own for name, own in task.other_names.items() if name in row.values)}
    missing = [column for column in task.columns if column not in has]
    if missing:
        raise DataError(
            f"{row.place}: the column {missing[0]!r} is missing; found {', '.join(row.values)}.",
            hint=f"The run reads {', '.join(task.columns)}. If a column has another name: "
            f"--column {missing[0]}=NAME.",
        )


def _task(asked: TaskSettings, settings: DataSettings) -> tuple[Task, tuple[str, ...]]:
    """The task with the user's words, and the columns that only a template of theirs reads."""
    named = named_columns(asked)
    if asked.name in OWN:
        task, _ = task_of_rows(asked, settings, [_row_of_config(asked, settings)])
        return task, named
    # What the templates name are the task's own texts; whether they are is seen at the first row.
    return reworded(TASKS.get(asked.name or ""), asked, [dict.fromkeys(named, "")]), ()


def _row_of_config(asked: TaskSettings, settings: DataSettings) -> Row:
    """A row in the columns that the config names, for a task that is made from its first row."""
    columns = settings.columns
    texts = [columns.text, columns.text_pair, columns.prompt, columns.completion, columns.messages]
    options = [columns.options] if isinstance(columns.options, str) else columns.options or []
    values: dict[str, object] = dict.fromkeys([*named_columns(asked), *options], SOME_ANSWER)
    values |= {column: SOME_ANSWER for column in texts if column is not None}
    if (columns.prompt or "").lower() == "instruction":
        values.setdefault(BESIDE_AN_INSTRUCTION, "")
    if columns.label is not None:
        values[columns.label] = settings.labels[0] if settings.labels else 0
    return Row(values, _NO_FILE, 1)


def _writing(task: Task) -> Task:
    """A generation whose prompts leave room for what is written, even if it was only scored by its loss."""
    return task if task.writes else replace(task, metrics=("exact_match",))


def _going_on(task: Task, max_new_tokens: int) -> Task:
    """Language modelling as a generation: the model goes on with a text."""
    (column,) = task.columns

    def read(cells: Cells) -> Example:
        return replace(task.read(cells), answers=((SOME_ANSWER,),))

    def render(texts: Mapping[str, str]) -> str:
        return texts["text"].rstrip()

    generation = Generation(render=render, cut="text", stop=(), max_new_tokens=max_new_tokens)
    return _writing(replace(task, kind="generation", columns=(column,), read=read, generation=generation))
