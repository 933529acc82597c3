"""SQuAD 1.1: a question about a passage, answered by a span of it."""

from __future__ import annotations

from loretta_cli.tasks.base import Example, Generation, Task, Texts
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
)
