"""SQuAD 1.1: a question about a passage, answered by a span of it."""

from __future__ import annotations

from collections.abc import Mapping

from loretta_cli.tasks.base import SOME_ANSWER, CellValues, Example, Generation, Task, Texts
from loretta_cli.tasks.cells import Cells

COLUMNS = ("title", "context", "question", "answers")


def render(row: Texts) -> str:
    """The prompt (MeZO, Appendix D): title, context, question."""
    title = row["title"].strip()
    head = f"Title: {title}\n" if title else ""
    return f"{head}Context: {row['context'].strip()}\nQuestion: {row['question'].strip()}\nAnswer:"


def example(cells: Cells) -> Example:
    """A row; of a question without an answer, the one accepted answer has no span."""
    title = cells.value("title")
    texts = {"title": title if isinstance(title, str) else "", **cells.texts("context", "question")}
    answers = dict.fromkeys(cells.text_list("answers", "text"))
    return Example(texts, answers=tuple((text,) for text in answers) or ((),))


def _read(cells: Cells) -> Example:
    found = example(cells)
    if not any(found.answers):
        raise cells.error("answers", "there is no answer.", hint="Use --task squad_v2.")
    return found


def put_in(values: CellValues, *, has_answer: bool) -> CellValues:
    """What is put into a row that has no answer, or no title."""
    return {"title": values.get("title", ""), **({} if has_answer else {"answers": {"text": [SOME_ANSWER]}})}


def _unanswered(values: CellValues) -> CellValues:
    answers = values.get("answers")
    return put_in(values, has_answer=isinstance(answers, Mapping) and bool(answers.get("text")))


TASK = Task(
    name="squad",
    version=1,
    kind="generation",
    columns=COLUMNS,
    read=_read,
    metrics=("f1", "exact_match"),
    scorer="squad",
    generation=Generation(render=render, cut="context"),
    hub_id="rajpurkar/squad",
    unanswered=_unanswered,
)
