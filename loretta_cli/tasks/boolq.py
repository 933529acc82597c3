"""BoolQ (SuperGLUE): is the answer to a question about a passage yes? Label 1 is yes.

A classification head reads the question first, so that a passage that is too long loses its end.
"""

from __future__ import annotations

from loretta_cli.tasks.base import Prompt, Texts
from loretta_cli.tasks.labelled import answered_in_a_gap, labelled_task


def _ask(row: Texts) -> str:
    question = row["question"].strip().rstrip("?")
    return f"{row['passage'].strip()} {question[:1].upper()}{question[1:]}?\n"


PROMPT = Prompt(render=_ask, options=("No", "Yes"), cut="passage")
"""MeZO's."""

TASK = labelled_task(
    "boolq",
    texts=("question", "passage"),
    labels=("no", "yes"),
    prompt=PROMPT,
    masked=answered_in_a_gap(PROMPT),
    hub_id="aps/super_glue:boolq",
    other_names={"answer": "label"},
)
