"""CoLA (GLUE): is a sentence acceptable English? The text with a gap is LM-BFF's."""

from __future__ import annotations

from loretta_cli.tasks.base import MASK, MaskedPrompt, Prompt
from loretta_cli.tasks.labelled import labelled_task

TASK = labelled_task(
    "cola",
    texts=("sentence",),
    labels=("unacceptable", "acceptable"),
    prompt=Prompt(
        render=lambda row: f"{row['sentence'].strip()}\nIs this sentence good English? Yes or No?\n",
        options=("No", "Yes"),
        cut="sentence",
    ),
    masked=MaskedPrompt(
        render=lambda row: f"{row['sentence'].strip()} This is{MASK}.",
        words=(" incorrect", " correct"),
        cut="sentence",
    ),
    metrics=("matthews_correlation",),
    hub_id="nyu-mll/glue:cola",
)
