"""MRPC and QQP (GLUE): do two texts say the same? The texts with a gap are LM-BFF's."""

from __future__ import annotations

from loretta_cli.tasks.base import MASK, MaskedPrompt, Prompt, Task, Texts
from loretta_cli.tasks.labelled import labelled_task


def _paraphrase_task(
    name: str, hub_id: str, *, texts: tuple[str, str], labels: tuple[str, str], question: str
) -> Task:
    first, second = texts

    def ask(row: Texts) -> str:
        return f"{row[first].strip()}\n{row[second].strip()}\n{question} Yes or No?\n"

    def with_gap(row: Texts) -> str:
        other = row[second].strip()
        return f"{row[first].strip()}{MASK}, {other[:1].lower()}{other[1:]}"

    return labelled_task(
        name,
        texts=texts,
        labels=labels,
        prompt=Prompt(render=ask, options=("No", "Yes"), cut=first),
        masked=MaskedPrompt(render=with_gap, words=(" No", " Yes"), cut=first),
        # The paper reports F1 (LoRETTA, Table 1); GLUE reports both.
        metrics=("f1", "accuracy"),
        hub_id=hub_id,
    )


MRPC = _paraphrase_task(
    "mrpc",
    "nyu-mll/glue:mrpc",
    texts=("sentence1", "sentence2"),
    labels=("not_equivalent", "equivalent"),
    question="Do these two sentences mean the same?",
)
QQP = _paraphrase_task(
    "qqp",
    "nyu-mll/glue:qqp",
    texts=("question1", "question2"),
    labels=("not_duplicate", "duplicate"),
    question="Do these two questions ask the same?",
)
