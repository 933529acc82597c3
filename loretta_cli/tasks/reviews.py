"""SST-2 (GLUE), SST-5 and MR: how good does a sentence of a film review find the film?

Prompts and label words are those of MeZO and LM-BFF.
"""

from __future__ import annotations

from loretta_cli.tasks.base import MASK, MaskedPrompt, Prompt, Task
from loretta_cli.tasks.labelled import labelled_task

TWO_WORDS = (" terrible", " great")
FIVE_WORDS = (" terrible", " bad", " okay", " good", " great")


def _review_task(
    name: str,
    *,
    column: str,
    labels: tuple[str, ...],
    words: tuple[str, ...],
    hub_id: str,
    hub_validation: str = "validation",
) -> Task:
    return labelled_task(
        name,
        texts=(column,),
        labels=labels,
        prompt=Prompt(render=lambda row: f"{row[column].strip()} It was", options=words, cut=column),
        masked=MaskedPrompt(
            render=lambda row: f"{row[column].strip()} It was{MASK}.", words=words, cut=column
        ),
        hub_id=hub_id,
        hub_validation=hub_validation,
    )


SST2 = _review_task(
    "sst2", column="sentence", labels=("negative", "positive"), words=TWO_WORDS, hub_id="nyu-mll/glue:sst2"
)
SST5 = _review_task(
    "sst5",
    column="text",
    labels=("very negative", "negative", "neutral", "positive", "very positive"),
    words=FIVE_WORDS,
    hub_id="SetFit/sst5",
    hub_validation="test",
)
MR = _review_task(
    "mr",
    column="text",
    labels=("negative", "positive"),
    words=TWO_WORDS,
    hub_id="cornell-movie-review-data/rotten_tomatoes",
    hub_validation="test",
)
