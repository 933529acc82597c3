"""Tasks made of texts and one of a few labels."""

from __future__ import annotations

from loretta_cli.tasks.base import MASK, Prompt
from loretta_cli.tasks.labelled import answered_in_a_gap, labelled_task
from loretta_cli.tasks.sources import Row

PROMPT = Prompt(render=lambda row: f"{row['text']}\nLevel?\n", options=("low", "high"), cut="text")
TASK = labelled_task("levels", texts=("text", "second"), label="level", labels=("low", "high"), prompt=PROMPT)


def test_a_head_reads_the_columns_of_texts_and_a_label_stands_in_the_last() -> None:
    example = TASK.example(Row({"text": "a", "second": "b", "level": "high"}, "a.jsonl", 1))
    assert TASK.columns == ("text", "second", "level")
    assert TASK.head == ("text", "second")
    assert dict(example.texts) == {"text": "a", "second": "b"}
    assert (example.label, example.group) == (1, "")


def test_a_head_reads_texts_made_of_the_columns_where_they_are_given() -> None:
    task = labelled_task(
        "levels",
        texts=("text", "second"),
        labels=("low", "high"),
        prompt=PROMPT,
        made={"both": lambda row: f"{row['text']}/{row['second']}"},
        head=("both",),
        group=lambda row: row["second"],
    )
    example = task.example(Row({"text": "a", "second": "b", "label": 0}, "a.jsonl", 1))
    assert dict(example.texts) == {"text": "a", "second": "b", "both": "a/b"}
    assert (task.head, example.group) == (("both",), "b")
    assert task.columns == ("text", "second", "label")


def test_a_question_is_answered_in_a_gap_behind_it() -> None:
    masked = answered_in_a_gap(PROMPT)
    assert masked.render({"text": "a"}) == f"a\nLevel?{MASK}."
    assert (masked.words, masked.cut) == ((" low", " high"), "text")
