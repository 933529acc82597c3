"""MultiRC (SuperGLUE): is an answer to a question about a paragraph right? Label 1 is yes.

A question has several answers, of which any number is right. F1 is over all answers; a question is an exact
match where all its answers are judged rightly.
"""

from __future__ import annotations

from loretta_cli.tasks.base import Prompt, Texts
from loretta_cli.tasks.labelled import answered_in_a_gap, labelled_task


def _ask(row: Texts) -> str:
    question = f"Question: {row['question'].strip()}"
    found = f'I found this answer "{row["answer"].strip()}". Is that correct? Yes or No?'
    return f"{row['paragraph'].strip()}\n{question}\n{found}\n"


PROMPT = Prompt(render=_ask, options=("No", "Yes"), cut="paragraph")
"""MeZO's."""

TASK = labelled_task(
    "multirc",
    texts=("paragraph", "question", "answer"),
    labels=("no", "yes"),
    made={"answered": lambda row: f"{row['question'].strip()} {row['answer'].strip()}"},
    head=("answered", "paragraph"),
    has_long_texts=True,
    group=lambda row: f"{row['paragraph']}\n{row['question']}",
    prompt=PROMPT,
    masked=answered_in_a_gap(PROMPT),
    metrics=("f1", "exact_match"),
    scorer="multirc",
    hub_id="aps/super_glue:multirc",
)
