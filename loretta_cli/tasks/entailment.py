"""MNLI, QNLI, RTE, WNLI (GLUE), CB (SuperGLUE) and SNLI: does a second text follow from the first?

The numbers of the labels are those of the published data, and differ from task to task. The prompts of RTE
and CB are MeZO's, and the other tasks share them; the texts with a gap are LM-BFF's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from loretta_cli.tasks.base import MASK, MaskedPrompt, Prompt, Task, Texts
from loretta_cli.tasks.labelled import NO_NAMES, labelled_task
from loretta_cli.tasks.sources import Row

ANSWERS = {"entailment": "Yes", "not_entailment": "No", "contradiction": "No", "neutral": "Maybe"}


def _entailment_task(
    name: str,
    hub_id: str,
    labels: tuple[str, ...],
    *,
    texts: tuple[str, str] = ("premise", "hypothesis"),
    metrics: tuple[str, ...] = ("accuracy",),
    other_names: Mapping[str, str] = NO_NAMES,
    leaves_out: Callable[[Row], bool] = lambda row: False,
) -> Task:
    premise, hypothesis = texts
    answers = tuple(ANSWERS[label] for label in labels)

    def is_it_so(row: Texts) -> str:
        question = f'Does this mean that "{row[hypothesis].strip()}" is true? Yes or No?'
        return f"{row[premise].strip()}\n{question}\n"

    def can_we_infer(row: Texts) -> str:
        question = f'Can we infer that "{row[hypothesis].strip()}"? Yes, No, or Maybe?'
        return f"Suppose {row[premise].strip()} {question}\n"

    def does_it_answer(row: Texts) -> str:
        question = f'Does this answer the question "{row[premise].strip()}" Yes or No?'
        return f"{row[hypothesis].strip()}\n{question}\n"

    def with_gap(row: Texts) -> str:
        second = row[hypothesis].strip()
        return f"{row[premise].strip().rstrip('.?!')}?{MASK}, {second[:1].lower()}{second[1:]}"

    asks = can_we_infer if len(labels) == 3 else is_it_so
    prompt = (
        Prompt(render=does_it_answer, options=answers, cut=hypothesis)
        if premise == "question"
        else Prompt(render=asks, options=answers, cut=premise)
    )
    return labelled_task(
        name,
        texts=texts,
        labels=labels,
        prompt=prompt,
        masked=MaskedPrompt(render=with_gap, words=tuple(f" {answer}" for answer in answers), cut=prompt.cut),
        metrics=metrics,
        hub_id=hub_id,
        other_names=other_names,
        leaves_out=leaves_out,
    )


MNLI = _entailment_task("mnli", "nyu-mll/glue:mnli", ("entailment", "neutral", "contradiction"))
SNLI = _entailment_task(
    "snli",
    "stanfordnlp/snli",
    ("entailment", "neutral", "contradiction"),
    # The annotators of these rows did not agree, and there is no right label.
    leaves_out=lambda row: row.values.get("label") in (-1, "-1", "-"),
)
CB = _entailment_task(
    "cb",
    "aps/super_glue:cb",
    ("entailment", "contradiction", "neutral"),
    metrics=("accuracy", "macro_f1"),
)
RTE = _entailment_task(
    "rte",
    "nyu-mll/glue:rte",
    ("entailment", "not_entailment"),
    texts=("sentence1", "sentence2"),
    # The names of SuperGLUE's version.
    other_names={"premise": "sentence1", "hypothesis": "sentence2"},
)
WNLI = _entailment_task(
    "wnli", "nyu-mll/glue:wnli", ("not_entailment", "entailment"), texts=("sentence1", "sentence2")
)
QNLI = _entailment_task(
    "qnli", "nyu-mll/glue:qnli", ("entailment", "not_entailment"), texts=("question", "sentence")
)
