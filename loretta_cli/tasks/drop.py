"""DROP: a question about a passage whose answer takes arithmetic, or is one or several spans.

``answers_spans`` has the spans of a row's one answer; in the validation rows of the hub it has those of every
annotator's answer, and nothing tells where the next one begins. So all spans together are accepted, and each
alone. Where a column ``references`` has the other answers, ``answers_spans`` is one answer. Training says all
spans.
"""

from __future__ import annotations

from collections.abc import Mapping

from loretta_cli.tasks.base import SOME_ANSWER, CellValues, Example, Generation, Task, Texts
from loretta_cli.tasks.cells import Cells

SEPARATOR = "; "
"""Between the spans of an answer that has several: spans hardly ever contain it, as they do commas."""


def _prompt(row: Texts) -> str:
    return f"Passage: {row['passage'].strip()}\nQuestion: {row['question'].strip()}\nAnswer:"


def _read(cells: Cells) -> Example:
    spans = tuple(dict.fromkeys(cells.text_list("answers_spans", "spans")))
    if not spans:
        raise cells.error("answers_spans", "there is no answer.")
    others = cells.text_list("references") if "references" in cells.row.values else spans
    answers = dict.fromkeys([spans, *((text,) for text in others)])
    return Example(cells.texts("passage", "question"), answers=tuple(answers))


def _unanswered(values: CellValues) -> CellValues:
    answers = values.get("answers_spans")
    has_answer = isinstance(answers, Mapping) and answers.get("spans")
    return {} if has_answer else {"answers_spans": {"spans": [SOME_ANSWER]}}


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
    unanswered=_unanswered,
)
