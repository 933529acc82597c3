"""WiC (SuperGLUE): does a word have the same meaning in two sentences? Label 1 is yes."""

from __future__ import annotations

from loretta_cli.tasks.base import Prompt, Texts
from loretta_cli.tasks.labelled import answered_in_a_gap, labelled_task


def _ask(row: Texts) -> str:
    question = f'Does the word "{row["word"].strip()}" have the same meaning in these two sentences?'
    return f"{question} Yes, No?\n{row['sentence1'].strip()}\n{row['sentence2'].strip()}\n"


PROMPT = Prompt(render=_ask, options=("No", "Yes"), cut="sentence1")
"""MeZO's."""

TASK = labelled_task(
    "wic",
    texts=("word", "sentence1", "sentence2"),
    labels=("no", "yes"),
    made={"word_in_sentence1": lambda row: f"{row['word'].strip()}: {row['sentence1'].strip()}"},
    head=("word_in_sentence1", "sentence2"),
    prompt=PROMPT,
    masked=answered_in_a_gap(PROMPT),
    hub_id="aps/super_glue:wic",
)
