"""``--task generation``: the user's own texts to write, behind a prompt or as the answer in a chat."""

from __future__ import annotations

from loretta_cli.errors import DataError
from loretta_cli.tasks.base import SOME_ANSWER, CellValues, Example, Generation, Task, Texts
from loretta_cli.tasks.cells import Cells
from loretta_cli.tasks.own.asked import Asked, OwnTask, columns_note
from loretta_cli.tasks.own.chat import CHAT, MESSAGE_NAMES, read_chat, with_answer
from loretta_cli.tasks.sources import Row, check_given, find_named
from loretta_cli.tasks.wording import named_columns

PAIR_NAMES = (
    ("prompt", "completion"),
    ("prompt", "response"),
    ("instruction", "output"),
    ("instruction", "response"),
    ("question", "answer"),
    ("input", "output"),
)
"""What usual data sets call a prompt and its completion."""
BESIDE_AN_INSTRUCTION = "input"
"""The column that goes on from an instruction where it is not empty."""
LONGEST_ANSWER = 128
"""Tokens of a generated answer, where ``task.max_new_tokens`` is not set."""


def _make(asked: Asked) -> tuple[Task, list[str]]:
    given, first = asked.data.columns, asked.rows[0]
    roles = [("messages", given.messages), ("prompt", given.prompt), ("completion", given.completion)]
    check_given(first, roles)
    is_pair = given.prompt or given.completion or asked.task.prompt
    messages = given.messages or (None if is_pair else find_named(first, MESSAGE_NAMES))
    if messages is None:
        return _pair(asked)
    if given.prompt or given.completion:
        raise DataError(
            "data.columns.messages is set, and data.columns.prompt or data.columns.completion beside it.",
            hint="Rows are chats or pairs of a prompt and a completion; remove one.",
        )
    task = Task(
        name="generation",
        version=1,
        kind="generation",
        columns=(messages,),
        read=lambda cells: read_chat(cells, messages),
        metrics=asked.metrics(("perplexity",), ("f1", "exact_match")),
        scorer="squad",
        generation=CHAT,
        roles={"messages": messages},
        unanswered=lambda values: with_answer(values, messages),
    )
    return task, [] if given.messages else [columns_note(messages=messages)]


def _pair(asked: Asked) -> tuple[Task, list[str]]:
    """The task of a prompt and its completion; a template may stand in for the column of the prompt."""
    given, first = asked.data.columns, asked.rows[0]
    named = named_columns(asked.task)
    prompt, completion = _find_pair(first, given.prompt, given.completion, named)
    more: tuple[str, ...] = ()
    if prompt is not None and not named:
        is_instruction = prompt.lower() == "instruction" and BESIDE_AN_INSTRUCTION in first.values
        more = (BESIDE_AN_INSTRUCTION,) if is_instruction and completion != BESIDE_AN_INSTRUCTION else ()

    def read(cells: Cells) -> Example:
        texts = cells.texts(prompt) if prompt is not None else {}
        texts |= {column: cells.written(column) for column in more}
        return Example(texts, answers=((cells.text(completion).strip(),),))

    def unanswered(values: CellValues) -> CellValues:
        found = {} if values.get(completion) else {completion: SOME_ANSWER}
        return {**{column: values.get(column) or "" for column in more}, **found}

    def render(row: Texts) -> str:
        parts = [row[column].strip() for column in (prompt, *more) if column is not None]
        return "".join(f"{part}\n" for part in parts if part)

    task = Task(
        name="generation",
        version=1,
        kind="generation",
        columns=tuple(column for column in (prompt, *more, completion) if column is not None),
        read=read,
        metrics=asked.metrics(("f1", "exact_match"), ("perplexity",)),
        scorer="squad",
        generation=Generation(
            render=render,
            # Without a column for the prompt there is a template, which chooses.
            cut=more[0] if more else prompt or "",
            answer=lambda spans: spans[0],
            stop=(),
            max_new_tokens=LONGEST_ANSWER,
        ),
        roles={"prompt": prompt, "completion": completion},
        unanswered=unanswered,
    )
    is_found = given.completion is None or (given.prompt is None and prompt is not None)
    return task, [columns_note(prompt=prompt, completion=completion)] if is_found else []


def _find_pair(
    first: Row, prompt: str | None, completion: str | None, named: tuple[str, ...]
) -> tuple[str | None, str]:
    """The columns of the prompt and of the completion; no prompt where a template names columns instead.

    Raises:
        DataError: If they are not given and have no usual names.
    """
    taken = {prompt, completion, *named}
    for usual_prompt, usual_completion in PAIR_NAMES:
        found_prompt = prompt or (None if named else find_named(first, [usual_prompt], taken))
        found_completion = completion or find_named(first, [usual_completion], taken)
        if found_completion is not None and (found_prompt is not None or named):
            return found_prompt, found_completion
    raise DataError(
        f"{first.file}: the columns of a prompt and its completion cannot be told from the names; its "
        f"columns are {', '.join(first.values)}.",
        hint="Use --set data.columns.prompt=NAME and --set data.columns.completion=NAME, or "
        "--set data.columns.messages=NAME for chats.",
    )


TASK = OwnTask(
    reads=(
        *("data.columns.prompt", "data.columns.completion", "data.columns.messages"),
        *("task.prompt", "task.cut", "task.stop", "task.max_new_tokens", "task.metrics"),
    ),
    make=_make,
)
