"""WSC (SuperGLUE, with the fixed spans): does a pronoun of a text stand for a noun of it? Label 1 is yes."""

from __future__ import annotations

from loretta_cli.tasks.base import Prompt, Texts
from loretta_cli.tasks.labelled import answered_in_a_gap, labelled_task


def _ask(row: Texts) -> str:
    pronoun, noun = row["span2_text"].strip().lower(), row["span1_text"].strip()
    question = f'In the previous sentence, does the pronoun "{pronoun}" refer to {noun}?'
    return f"{row['text'].strip()}\n{question} Yes or No?\n"


PROMPT = Prompt(render=_ask, options=("No", "Yes"), cut="text")
"""MeZO's."""

TASK = labelled_task(
    "wsc",
    texts=("text", "span1_text", "span2_text"),
    labels=("no", "yes"),
    made={"statement": lambda row: f'"{row["span2_text"].strip()}" refers to {row["span1_text"].strip()}.'},
    head=("text", "statement"),
    prompt=PROMPT,
    masked=answered_in_a_gap(PROMPT),
    hub_id="aps/super_glue:wsc.fixed",
)
