"""``--task multiple-choice``: the user's own questions, each with options of its own, one of them right.

The options stand in several columns, or in one column as a list. The right one is a number from 0, a letter
from A, or the option's text.
"""

from __future__ import annotations

import string
from collections.abc import Sequence

from loretta_cli.errors import DataError
from loretta_cli.numerals import counted
from loretta_cli.tasks.base import Example, Prompt, Task
from loretta_cli.tasks.cells import Cells
from loretta_cli.tasks.own.asked import Asked, OwnTask, columns_note
from loretta_cli.tasks.own.lists import read_list
from loretta_cli.tasks.sources import check_given, find_label, find_named, find_text

OPTION_NAMES = ("options", "choices", "endings", "answers", "candidates")
LABEL_NAMES = ("label", "labels", "answer", "correct", "gold", "target", "answer_key", "answerKey")


def _make(asked: Asked) -> tuple[Task, list[str]]:
    given, first = asked.data.columns, asked.rows[0]
    asked_options = [given.options] if isinstance(given.options, str) else given.options or []
    check_given(
        first,
        [("text", given.text), ("label", given.label), *(("options", column) for column in asked_options)],
    )
    options = asked_options or [_find_options(asked, given.text, given.label)]
    label = given.label or find_label(first, {given.text, *options}, LABEL_NAMES)
    text = given.text or find_text(asked.rows, {label, *options})

    def read(cells: Cells) -> Example:
        row = _options(cells, options)
        return Example(cells.texts(text), _right_one(cells, label, row), options=row)

    task = Task(
        name="multiple-choice",
        version=1,
        kind="choice",
        columns=(text, *options, label),
        read=read,
        metrics=asked.metrics(("accuracy",)),
        head=(text,),
        prompt=Prompt(render=lambda row: f"{row[text].strip()}\nAnswer:", options=(), cut=text),
        roles={"text": text, "label": label, "options": options[0] if len(options) == 1 else options},
        unanswered=lambda values: {label: 0},
    )
    found = {"text": text, "label": label, "options": ", ".join(options)}
    missing = None in (given.text, given.label, given.options)
    return task, [columns_note(**found)] if missing else []


def _find_options(asked: Asked, *taken: str | None) -> str:
    first = asked.rows[0]
    found = find_named(first, OPTION_NAMES, taken)
    if found is None:
        raise DataError(
            f"{first.file}: the options cannot be told from the names; its columns are "
            f"{', '.join(first.values)}.",
            hint="Use --set 'data.columns.options=[NAME, NAME, …]', one column an option, or name one column "
            "with lists.",
        )
    return found


def _options(cells: Cells, columns: Sequence[str]) -> tuple[str, ...]:
    """The options of a row; of several columns the last ones may be empty.

    Raises:
        DataError: If there are fewer than two, one is empty, or two are alike.
    """
    if len(columns) == 1:
        listed = read_list(cells, columns[0], of="options", such_as='["one", "two", "three"]')
        found = [_option(cells, columns[0], value) for value in listed]
    else:
        found = [cells.written(column) if cells.value(column) is not None else "" for column in columns]
        while found and not found[-1].strip():
            found.pop()
    options = tuple(option.strip() for option in found)
    if len(options) < 2:
        raise cells.error(
            columns[-1], f"the row has {counted(len(options), 'option')}, expected two or more."
        )
    if "" in options:
        column = columns[options.index("")] if len(columns) > 1 else columns[0]
        raise cells.error(column, f"the option {options.index('')} is empty, and another follows it.")
    twice = next((option for option in options if options.count(option) > 1), None)
    if twice is not None:
        raise cells.error(columns[0], f"the option {twice!r} stands twice in this row.")
    return options


def _option(cells: Cells, column: str, value: object) -> str:
    """One option of a list: a text or a number."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise cells.error(column, f"expected a list of texts, found {value!r:.60} in it.")
    return str(value)


def _right_one(cells: Cells, column: str, options: Sequence[str]) -> int:
    """The number of the right option.

    Raises:
        DataError: If the cell is no option's number, letter or text, or means two of them.
    """
    cell = cells.value(column)
    meant = {place for place in _meanings(cell, options) if place < len(options)}
    if len(meant) == 1:
        return meant.pop()
    last = len(options) - 1
    if meant:
        raise cells.error(
            column,
            f"found {cell!r}, which is the text of one option and the number or letter of another.",
            hint="Write the text of the option, or number the options with letters from A.",
        )
    raise cells.error(
        column,
        f"found {cell!r}, expected the number (0 to {last}), the letter (A to "
        f"{string.ascii_uppercase[min(last, 25)]}) or the text of one of the {len(options)} options.",
        hint="Numbers count from 0.",
    )


def _meanings(cell: object, options: Sequence[str]) -> list[int]:
    """The places that a cell can mean, whether the row has them or not."""
    if isinstance(cell, (int, float)) and not isinstance(cell, bool) and float(cell).is_integer():
        return [int(cell)] if cell >= 0 else []
    text = cell.strip() if isinstance(cell, str) else ""
    places = [options.index(text)] if text in options else []
    if text.isascii() and text.isdecimal():
        places.append(int(text))
    if len(text) == 1 and text in string.ascii_uppercase:
        places.append(string.ascii_uppercase.index(text))
    return places


TASK = OwnTask(
    reads=(
        *("data.columns.text", "data.columns.options", "data.columns.label"),
        *("task.prompt", "task.cut", "task.metrics"),
    ),
    make=_make,
)
