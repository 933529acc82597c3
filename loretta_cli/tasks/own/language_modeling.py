"""``--task language-modeling``: the user's own text, of which a language model learns every token."""

from __future__ import annotations

from loretta_cli.tasks.base import Example, Task
from loretta_cli.tasks.cells import Cells
from loretta_cli.tasks.own.asked import Asked, OwnTask, columns_note
from loretta_cli.tasks.sources import check_given, find_text


def _make(asked: Asked) -> tuple[Task, list[str]]:
    given = asked.data.columns.text
    check_given(asked.rows[0], [("text", given)])
    column = given or find_text(asked.rows, ())

    def read(cells: Cells) -> Example:
        return Example({"text": cells.text(column)})

    task = Task(
        name="language-modeling",
        version=1,
        kind="language-modeling",
        columns=(column,),
        read=read,
        metrics=("perplexity",),
        roles={"text": column},
    )
    return task, [] if given else [columns_note(text=column)]


TASK = OwnTask(reads=("data.columns.text",), make=_make)
