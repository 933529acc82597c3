"""STS-B (GLUE): how much alike are two sentences, from 0 to 5?

In words, the options are the whole numbers, and the score is their mean, weighted by probability. They follow
a line break, where tokenizers make one token of a digit: behind a space some make two.
"""

from __future__ import annotations

from loretta_cli.tasks.base import MASK, Example, MaskedPrompt, Prompt, Task, Texts
from loretta_cli.tasks.cells import Cells

LOWEST, HIGHEST = 0, 5
SCALE = tuple(range(LOWEST, HIGHEST + 1))
TEXTS = ("sentence1", "sentence2")


def _read(cells: Cells) -> Example:
    return Example(cells.texts(*TEXTS), cells.score("label", low=LOWEST, high=HIGHEST))


def _question(row: Texts) -> str:
    question = f"How much alike are these two sentences, from {LOWEST} to {HIGHEST}?"
    return f"{row['sentence1'].strip()}\n{row['sentence2'].strip()}\n{question}"


TASK = Task(
    name="stsb",
    version=1,
    kind="regression",
    columns=(*TEXTS, "label"),
    read=_read,
    metrics=("spearman", "pearson"),
    values=tuple(map(float, SCALE)),
    head=TEXTS,
    prompt=Prompt(render=lambda row: f"{_question(row)}\n", options=tuple(map(str, SCALE)), cut="sentence1"),
    masked=MaskedPrompt(
        render=lambda row: f"{_question(row)}{MASK}.",
        words=tuple(f" {value}" for value in SCALE),
        cut="sentence1",
    ),
    hub_id="nyu-mll/glue:stsb",
    unanswered=lambda values: {"label": LOWEST},
)
