"""TREC: what kind of thing does a question ask for? The words are LM-BFF's."""

from __future__ import annotations

from loretta_cli.tasks.base import MASK, MaskedPrompt, Prompt
from loretta_cli.tasks.labelled import labelled_task

WORDS = (" Expression", " Entity", " Description", " Human", " Location", " Number")

TASK = labelled_task(
    "trec",
    texts=("text",),
    label="coarse_label",
    labels=("ABBR", "ENTY", "DESC", "HUM", "LOC", "NUM"),
    prompt=Prompt(render=lambda row: f"{row['text'].strip()}\nType:", options=WORDS, cut="text"),
    masked=MaskedPrompt(render=lambda row: f"{MASK}: {row['text'].strip()}", words=WORDS, cut="text"),
    hub_id="CogComp/trec",
    hub_validation="test",
)
