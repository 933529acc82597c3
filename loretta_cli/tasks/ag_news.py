"""AG News: what is a piece of news about?"""

from __future__ import annotations

from loretta_cli.tasks.base import MASK, MaskedPrompt, Prompt
from loretta_cli.tasks.labelled import labelled_task

WORDS = (" World", " Sports", " Business", " Technology")

TASK = labelled_task(
    "ag_news",
    texts=("text",),
    labels=("World", "Sports", "Business", "Sci/Tech"),
    prompt=Prompt(render=lambda row: f"{row['text'].strip()}\nTopic:", options=WORDS, cut="text"),
    masked=MaskedPrompt(render=lambda row: f"{MASK} news: {row['text'].strip()}", words=WORDS, cut="text"),
    hub_id="fancyzhx/ag_news",
    hub_validation="test",
)
