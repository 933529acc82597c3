"""DROP: a question about a passage whose answer takes arithmetic, or is one or several spans.

The hub's version has one accepted answer a row, in ``answers_spans``; a column ``references``, where there is
one, has them all.
"""

from __future__ import annotations

from loretta_cli.tasks.base import Example, Generation, Task, Texts
from loretta_cli.tasks.cells import Cells

SEPARATOR = "; "
"""Between the spans of an answer that has several: spans hardly ever contain it, as they do commas."""


def _prompt(row: Texts) -> str:
    return f"Passage: {row['passage'].strip()}\nQuestion: {row['question'].strip()}\nAnswer:"


def _read(cells: Cells) -> Example:
    answers = [cells.text_list("answers_spans", "spans")]
    if "references" in cells.row.values:
        answers += [(text,) for text in cells.text_list("references")]
    if not answers[0]:
        raise cells.error("answers_spans", "there is no answer.")
    return Example(cells.texts("passage", "question"), answers=tuple(dict.fromkeys(answers)))


TASK = Task(
    name="drop",
    version=1,
    kind="generation",
    columns=("passage", "question", "answers_spans"),
    read=_read,
    metrics=("f1", "exact_match"),
    scorer="drop",
    generation=Generation(render=_prompt, cut="passage", answer=lambda spans: " " + SEPARATOR.join(spans)),
    hub_id="ucinlp/drop",
)
