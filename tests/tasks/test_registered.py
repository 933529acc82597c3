"""What holds for every registered task, and the prompts of each, word for word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loretta_cli.errors import ConfigError
from loretta_cli.evaluation.metrics import compute_metrics
from loretta_cli.tasks import CUSTOM, TASKS, Example, check_task
from loretta_cli.tasks.encoding import encode_classification, encode_prompts
from loretta_cli.tasks.sources import Row
from tests.tiny_folders import decoder_tokenizer, encoder_tokenizer

ROWS: dict[str, dict[str, Any]] = {
    "sst2": {"idx": 0, "sentence": " a great film  ", "label": 1},
    "rte": {"idx": 0, "sentence1": "The sky is blue. ", "sentence2": " It is day.", "label": 1},
    "boolq": {"idx": 0, "question": "is it old??", "passage": "The house is old. ", "label": True},
}
PROMPTS = {
    "sst2": "a great film It was",
    "rte": 'The sky is blue.\nDoes this mean that "It is day." is true? Yes or No?\n',
    "boolq": "The house is old. Is it old?\n",
}
ANSWERS = {"sst2": (" terrible", " great"), "rte": ("Yes", "No"), "boolq": ("No", "Yes")}


def example(name: str) -> Example:
    return TASKS.get(name).example(Row(ROWS[name], "a.jsonl", 1))


def test_every_task_has_a_row_here() -> None:
    assert TASKS.names() == sorted(ROWS) == sorted(PROMPTS)


@pytest.mark.parametrize("name", ROWS)
def test_a_task_is_complete(name: str) -> None:
    task = TASKS.get(name)
    assert task.name == name
    assert len(task.prompt.options) == len(task.labels) == len(set(task.labels)) >= 2
    assert task.prompt.cut in task.text_columns
    assert task.hub_id
    assert set((task.other_names or {}).values()) <= {*task.text_columns, task.label}
    values = compute_metrics(task.metrics, np.eye(2, dtype=np.float32), np.array([0, 1]))
    assert values[task.main_metric] == 1.0


@pytest.mark.parametrize("name", ROWS)
def test_the_prompt_is_as_published(name: str) -> None:
    task = TASKS.get(name)
    assert task.prompt.render(example(name).texts) == PROMPTS[name]
    assert task.prompt.options == ANSWERS[name]
    assert example(name).label == 1


@pytest.mark.parametrize("name", ROWS)
def test_a_task_encodes_in_both_forms(name: str) -> None:
    task = TASKS.get(name)
    decoder, encoder = decoder_tokenizer(), encoder_tokenizer()
    (row,) = encode_prompts(task, [example(name)], decoder, 512).rows
    for option, text in zip(row["options"], task.prompt.options, strict=True):
        assert decoder.decode(row["input_ids"] + option) == f"<s>{PROMPTS[name]}{text}"
    (row,) = encode_classification(task, [example(name)], encoder, 128).rows
    assert row["input_ids"].count(encoder.sep_token_id) == len(task.text_columns)
    assert row["labels"] == 1


def test_rte_reads_the_columns_of_superglue() -> None:
    values = {"premise": "The sky is blue.", "hypothesis": "It is day.", "idx": 3, "label": 0}
    other = TASKS.get("rte").example(Row(values, "a.jsonl", 1))
    assert dict(other.texts) == {"sentence1": "The sky is blue.", "sentence2": "It is day."}
    assert other.label == 0


def test_boolq_reads_the_answers_of_its_first_publication() -> None:
    values = {"question": "is it", "passage": "It is.", "title": "It", "answer": True}
    assert TASKS.get("boolq").example(Row(values, "a.jsonl", 1)).label == 1


def test_a_classification_head_reads_the_question_of_boolq_first() -> None:
    assert TASKS.get("boolq").text_columns == ("question", "passage")


@pytest.mark.parametrize("name", [*ROWS, CUSTOM])
def test_a_known_task_is_accepted(name: str) -> None:
    check_task(name)


@pytest.mark.parametrize(("name", "near"), [("ste2", "sst2"), ("clasification", "classification")])
def test_an_unknown_task_is_refused_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(ConfigError, match=f"Unknown task '{name}'") as caught:
        check_task(name)
    assert f"Did you mean '{near}'?" in caught.value.hint
    assert "boolq, classification, rte, sst2" in caught.value.hint
