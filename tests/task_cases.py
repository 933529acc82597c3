"""A row of every registered task with labels or options, as on the hub, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loretta_cli.tasks.base import MASK


@dataclass(frozen=True)
class Case:
    """A row of a task as its hub version has it, and what becomes of it.

    Args:
        hub: The hub id.
        row: The row; its label is the last one.
        prompt: What stands before the options.
        options: The options.
        gap: The text with a gap, if the task has that form.
        words: The label words without their space; those of ``options`` if they are left out.
        head: What a classification head reads.
    """

    hub: str
    row: dict[str, Any]
    prompt: str
    options: tuple[str, ...]
    gap: str | None
    head: tuple[str, ...]
    words: tuple[str, ...] = ()


YES_OR_NO = ("No", "Yes")
NLI = {"premise": "The sky is blue. ", "hypothesis": " It is day."}
SENTENCES = {"sentence1": "The sky is blue. ", "sentence2": " It is day."}
NLI_HEAD = ("The sky is blue. ", " It is day.")
SUPPOSE = 'Suppose The sky is blue. Can we infer that "It is day."? Yes, No, or Maybe?\n'
MEANS = 'The sky is blue.\nDoes this mean that "It is day." is true? Yes or No?\n'
NLI_GAP = f"The sky is blue?{MASK}, it is day."
REVIEW_GAP = f"a great film It was{MASK}."

CASES = {
    "ag_news": Case(
        "fancyzhx/ag_news",
        {"text": "Oil is dear. ", "label": 3},
        "Oil is dear.\nTopic:",
        (" World", " Sports", " Business", " Technology"),
        f"{MASK} news: Oil is dear.",
        ("Oil is dear. ",),
    ),
    "boolq": Case(
        "aps/super_glue:boolq",
        {"question": "is it old??", "passage": "The house is old. ", "idx": 0, "label": 1},
        "The house is old. Is it old?\n",
        YES_OR_NO,
        f"The house is old. Is it old?{MASK}.",
        ("is it old??", "The house is old. "),
    ),
    "cb": Case("aps/super_glue:cb", {**NLI, "label": 2}, SUPPOSE, ("Yes", "No", "Maybe"), NLI_GAP, NLI_HEAD),
    "cola": Case(
        "nyu-mll/glue:cola",
        {"sentence": "They drank the pub. ", "label": 1},
        "They drank the pub.\nIs this sentence good English? Yes or No?\n",
        YES_OR_NO,
        f"They drank the pub. This is{MASK}.",
        ("They drank the pub. ",),
        ("incorrect", "correct"),
    ),
    "copa": Case(
        "aps/super_glue:copa",
        {
            "premise": "The man lost his job. ",
            "choice1": "I paid him.",
            "choice2": "His boss fired him.",
            "question": "cause",
            "idx": 1,
            "label": 1,
        },
        "The man lost his job because",
        ("I paid him.", "his boss fired him."),
        None,
        ("The man lost his job because",),
    ),
    "mnli": Case(
        "nyu-mll/glue:mnli", {**NLI, "label": 2}, SUPPOSE, ("Yes", "Maybe", "No"), NLI_GAP, NLI_HEAD
    ),
    "mr": Case(
        "cornell-movie-review-data/rotten_tomatoes",
        {"text": " a great film  ", "label": 1},
        "a great film It was",
        (" terrible", " great"),
        REVIEW_GAP,
        (" a great film  ",),
    ),
    "mrpc": Case(
        "nyu-mll/glue:mrpc",
        {**SENTENCES, "label": 1},
        "The sky is blue.\nIt is day.\nDo these two sentences mean the same? Yes or No?\n",
        YES_OR_NO,
        f"The sky is blue.{MASK}, it is day.",
        NLI_HEAD,
    ),
    "multirc": Case(
        "aps/super_glue:multirc",
        {
            "paragraph": "Ann met Bob. ",
            "question": "Who met Bob? ",
            "answer": " Ann",
            "idx": {"paragraph": 0, "question": 1, "answer": 2},
            "label": 1,
        },
        'Ann met Bob.\nQuestion: Who met Bob?\nI found this answer "Ann". Is that correct? Yes or No?\n',
        YES_OR_NO,
        "Ann met Bob.\nQuestion: Who met Bob?\n"
        f'I found this answer "Ann". Is that correct? Yes or No?{MASK}.',
        ("Who met Bob? Ann", "Ann met Bob. "),
    ),
    "qnli": Case(
        "nyu-mll/glue:qnli",
        {"question": "Who met Bob? ", "sentence": "Ann met Bob. ", "label": 1},
        'Ann met Bob.\nDoes this answer the question "Who met Bob?" Yes or No?\n',
        ("Yes", "No"),
        f"Who met Bob?{MASK}, ann met Bob.",
        ("Who met Bob? ", "Ann met Bob. "),
    ),
    "qqp": Case(
        "nyu-mll/glue:qqp",
        {"question1": "Who is Bob? ", "question2": "Bob who?", "label": 1},
        "Who is Bob?\nBob who?\nDo these two questions ask the same? Yes or No?\n",
        YES_OR_NO,
        f"Who is Bob?{MASK}, bob who?",
        ("Who is Bob? ", "Bob who?"),
    ),
    "record": Case(
        "aps/super_glue:record",
        {
            "passage": "Ann met Bob in Rome.\n@highlight\nThey married\n@highlight\nIt rained ",
            "query": "Then @placeholder kissed Bob. ",
            "entities": ["Rome", "Ann", "Bob", "Ann"],
            "entity_spans": {"text": ["Ann"], "start": [0], "end": [3]},
            "answers": ["Ann"],
        },
        "Ann met Bob in Rome.\n- They married\n- It rained\n-",
        ("Then Rome kissed Bob.", "Then Ann kissed Bob.", "Then Bob kissed Bob."),
        None,
        ("Ann met Bob in Rome.\n@highlight\nThey married\n@highlight\nIt rained ",),
    ),
    "rte": Case("nyu-mll/glue:rte", {**SENTENCES, "label": 1}, MEANS, ("Yes", "No"), NLI_GAP, NLI_HEAD),
    "snli": Case("stanfordnlp/snli", {**NLI, "label": 2}, SUPPOSE, ("Yes", "Maybe", "No"), NLI_GAP, NLI_HEAD),
    "sst2": Case(
        "nyu-mll/glue:sst2",
        {"sentence": " a great film  ", "label": 1},
        "a great film It was",
        (" terrible", " great"),
        REVIEW_GAP,
        (" a great film  ",),
    ),
    "sst5": Case(
        "SetFit/sst5",
        {"text": " a great film  ", "label_text": "very positive", "label": 4},
        "a great film It was",
        (" terrible", " bad", " okay", " good", " great"),
        REVIEW_GAP,
        (" a great film  ",),
    ),
    "stsb": Case(
        "nyu-mll/glue:stsb",
        {**SENTENCES, "label": 3.75},
        "The sky is blue.\nIt is day.\nHow much alike are these two sentences, from 0 to 5?\n",
        ("0", "1", "2", "3", "4", "5"),
        f"The sky is blue.\nIt is day.\nHow much alike are these two sentences, from 0 to 5?{MASK}.",
        NLI_HEAD,
    ),
    "trec": Case(
        "CogComp/trec",
        {"text": "Who met Bob ? ", "fine_label": 7, "coarse_label": 5},
        "Who met Bob ?\nType:",
        (" Expression", " Entity", " Description", " Human", " Location", " Number"),
        f"{MASK}: Who met Bob ?",
        ("Who met Bob ? ",),
    ),
    "wic": Case(
        "aps/super_glue:wic",
        {"word": "bank", "sentence1": "A river bank. ", "sentence2": "A bank loan.", "start1": 8, "label": 1},
        'Does the word "bank" have the same meaning in these two sentences? Yes, No?\n'
        "A river bank.\nA bank loan.\n",
        YES_OR_NO,
        'Does the word "bank" have the same meaning in these two sentences? Yes, No?\n'
        f"A river bank.\nA bank loan.{MASK}.",
        ("bank: A river bank.", "A bank loan."),
    ),
    "wnli": Case("nyu-mll/glue:wnli", {**SENTENCES, "label": 1}, MEANS, YES_OR_NO, NLI_GAP, NLI_HEAD),
    "wsc": Case(
        "aps/super_glue:wsc.fixed",
        {
            "text": "Bob saw Tim. He waved. ",
            "span1_index": 0,
            "span2_index": 3,
            "span1_text": "Bob",
            "span2_text": "He",
            "label": 1,
        },
        'Bob saw Tim. He waved.\nIn the previous sentence, does the pronoun "he" refer to Bob? Yes or No?\n',
        YES_OR_NO,
        "Bob saw Tim. He waved.\nIn the previous sentence, does the pronoun "
        f'"he" refer to Bob? Yes or No?{MASK}.',
        ("Bob saw Tim. He waved. ", '"He" refers to Bob.'),
    ),
}
LABELS = {
    "ag_news": ("World", "Sports", "Business", "Sci/Tech"),
    "cb": ("entailment", "contradiction", "neutral"),
    "cola": ("unacceptable", "acceptable"),
    "mnli": ("entailment", "neutral", "contradiction"),
    "mrpc": ("not_equivalent", "equivalent"),
    "qnli": ("entailment", "not_entailment"),
    "qqp": ("not_duplicate", "duplicate"),
    "rte": ("entailment", "not_entailment"),
    "snli": ("entailment", "neutral", "contradiction"),
    "sst2": ("negative", "positive"),
    "sst5": ("very negative", "negative", "neutral", "positive", "very positive"),
    "trec": ("ABBR", "ENTY", "DESC", "HUM", "LOC", "NUM"),
    "wnli": ("not_entailment", "entailment"),
    **dict.fromkeys(("boolq", "multirc", "wic", "wsc"), ("no", "yes")),
    "mr": ("negative", "positive"),
    **dict.fromkeys(("copa", "record", "stsb"), ()),
}
"""The hub's label names (in words where the hub's are True and False), each at the place of its number."""
METRICS = {
    "cb": ("accuracy", "macro_f1"),
    "cola": ("matthews_correlation",),
    "stsb": ("spearman", "pearson"),
    **dict.fromkeys(("mrpc", "qqp"), ("f1", "accuracy")),
    **dict.fromkeys(("multirc", "record"), ("f1", "exact_match")),
}
