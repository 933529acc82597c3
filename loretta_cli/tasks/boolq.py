"""BoolQ (SuperGLUE): is the answer to a question about a passage yes? Label 1 is yes.

A classification head reads the question first, so that a passage that is too long loses its end.
"""

from __future__ import annotations

from collections.abc import Mapping

from loretta_cli.tasks.base import Prompt, Task


def _prompt(row: Mapping[str, str]) -> str:
    question = row["question"].strip().rstrip("?")
    return f"{row['passage'].strip()} {question[:1].upper()}{question[1:]}?\n"


TASK = Task(
    name="boolq",
    version=1,
    text="question",
    text_pair="passage",
    label="label",
    labels=("no", "yes"),
    prompt=Prompt(render=_prompt, options=("No", "Yes"), cut="passage"),
    metrics=("accuracy",),
    hub_id="aps/super_glue:boolq",
    other_names={"answer": "label"},
)
