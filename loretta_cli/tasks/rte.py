"""RTE (GLUE and SuperGLUE): does a text entail a sentence? Label 0 is entailment.

GLUE's columns are sentence1 and sentence2; SuperGLUE's premise and hypothesis are read too.
"""

from __future__ import annotations

from collections.abc import Mapping

from loretta_cli.tasks.base import Prompt, Task


def _prompt(row: Mapping[str, str]) -> str:
    premise, hypothesis = row["sentence1"].strip(), row["sentence2"].strip()
    return f'{premise}\nDoes this mean that "{hypothesis}" is true? Yes or No?\n'


TASK = Task(
    name="rte",
    version=1,
    text="sentence1",
    text_pair="sentence2",
    label="label",
    labels=("entailment", "not_entailment"),
    prompt=Prompt(render=_prompt, options=("Yes", "No"), cut="sentence1"),
    metrics=("accuracy",),
    hub_id="nyu-mll/glue:rte",
    other_names={"premise": "sentence1", "hypothesis": "sentence2"},
)
