"""What holds for every registered task with labels or options: its columns, prompts, label words, hub id."""

from __future__ import annotations

from typing import Any

import pytest

from loretta_cli.errors import ConfigError, DataError
from loretta_cli.evaluation.metrics import compute_metrics
from loretta_cli.tasks import OWN, TASKS, Example, Task, check_task
from loretta_cli.tasks.forms import make_form
from loretta_cli.tasks.forms.prompt import PromptForm
from loretta_cli.tasks.sources import Row
from tests.task_cases import CASES, LABELS, METRICS, NLI, SENTENCES
from tests.tiny_folders import decoder_tokenizer, encoder_tokenizer
from tests.tiny_masked import masked_tokenizer

WRITTEN = ("drop", "squad", "squad_v2")
"""Tasks that are answered in free text."""


def row(name: str, **changed: Any) -> Row:
    return Row({**CASES[name].row, **changed}, "a.jsonl", 1)


def example(name: str) -> Example:
    return TASKS.get(name).example(row(name))


def options(task: Task, name: str) -> tuple[str, ...]:
    assert task.prompt is not None
    return task.prompt.options or example(name).options


def test_every_task_has_a_row_here() -> None:
    assert TASKS.names() == sorted([*CASES, *WRITTEN])
    assert sorted(LABELS) == sorted(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_task_is_complete(name: str) -> None:
    task = TASKS.get(name)
    assert task.name == name
    assert task.hub_id == CASES[name].hub
    assert task.labels == LABELS[name]
    assert task.metrics == METRICS.get(name, ("accuracy",))
    assert task.version == 1
    assert set(task.other_names.values()) <= set(task.columns)


@pytest.mark.parametrize("name", CASES)
def test_a_perfect_prediction_scores_one(name: str) -> None:
    task = TASKS.get(name)
    labels: list[int | float] = [4, 1.5] if name == "stsb" else [1, 0]
    examples = [
        Example({}, label, names=("Ann", "Bob"), answers=((("Bob", "Ann")[label == 0],),), group=str(label))
        for label in labels
    ]
    assert compute_metrics(task, examples, labels, 0.0) == pytest.approx(dict.fromkeys(task.metrics, 1.0))


@pytest.mark.parametrize("name", CASES)
def test_the_prompt_is_as_written_here_word_for_word(name: str) -> None:
    task, case = TASKS.get(name), CASES[name]
    assert task.prompt is not None
    assert task.prompt.render(example(name).texts) == case.prompt
    assert options(task, name) == case.options
    assert task.prompt.cut in example(name).texts


@pytest.mark.parametrize("name", CASES)
def test_the_text_with_a_gap_is_as_written_here_word_for_word(name: str) -> None:
    task, case = TASKS.get(name), CASES[name]
    assert ("masked" in task.forms) == (case.gap is not None)
    if task.masked is not None:
        assert task.masked.render(example(name).texts) == case.gap
        words = case.words or tuple(option.strip() for option in case.options)
        assert task.masked.words == tuple(f" {word}" for word in words)
        assert task.masked.cut in example(name).texts


@pytest.mark.parametrize("name", CASES)
def test_a_label_is_read_by_number_and_by_name(name: str) -> None:
    task = TASKS.get(name)
    column = task.columns[-1]
    expected = 1 if name == "record" else CASES[name].row[column]
    assert example(name).label == expected
    for number, label in enumerate(task.labels):
        assert task.example(row(name, **{column: number})).label == number
        assert task.example(row(name, **{column: label})).label == number


@pytest.mark.parametrize("name", CASES)
def test_a_row_becomes_a_prompt_and_options_for_a_language_model(name: str) -> None:
    task, case = TASKS.get(name), CASES[name]
    decoder = decoder_tokenizer()
    (encoded,) = make_form("prompt", task, decoder, 512).encode([example(name)]).rows
    space = "" if task.prompt is None or task.prompt.options else " "
    for option, text in zip(encoded["options"], case.options, strict=True):
        assert decoder.decode(encoded["input_ids"] + option) == f"<s>{case.prompt}{space}{text}"


@pytest.mark.parametrize("name", CASES)
def test_a_row_becomes_texts_for_a_classification_head(name: str) -> None:
    task, case = TASKS.get(name), CASES[name]
    encoder = encoder_tokenizer()
    (encoded,) = make_form("classification", task, encoder, 512).encode([example(name)]).rows
    own = example(name).options
    expected = [encoder(*case.head, option)["input_ids"] for option in own] or encoder(*case.head)[
        "input_ids"
    ]
    assert encoded["input_ids"] == expected


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.gap])
@pytest.mark.parametrize("kind", ["roberta", "bert"])
def test_a_row_becomes_a_text_with_one_mask(name: str, kind: Any) -> None:
    tokenizer = masked_tokenizer(kind)
    (encoded,) = make_form("masked", TASKS.get(name), tokenizer, 512).encode([example(name)]).rows
    assert encoded["input_ids"].count(tokenizer.mask_token_id) == 1
    assert encoded["labels"] == example(name).label


def test_rte_reads_the_columns_of_superglue() -> None:
    other = TASKS.get("rte").example(Row({**NLI, "idx": 3, "label": 0}, "a.jsonl", 1))
    assert dict(other.texts) == SENTENCES
    assert other.label == 0


def test_boolq_reads_the_answers_of_its_first_publication() -> None:
    values = {"question": "is it", "passage": "It is.", "title": "It", "answer": True}
    assert TASKS.get("boolq").example(Row(values, "a.jsonl", 1)).label == 1


def test_snli_leaves_out_the_rows_on_which_the_annotators_disagreed() -> None:
    task = TASKS.get("snli")
    rows = [row("snli", label=label) for label in (0, -1, 2)]
    assert [one.label for one in task.examples(rows)] == [0, 2]
    with pytest.raises(DataError, match="found the label -1"):
        TASKS.get("mnli").examples(rows)


def test_the_effect_of_copa_is_joined_by_so() -> None:
    found = TASKS.get("copa").example(row("copa", question="effect", choice1="Ann paid."))
    assert (found.texts["premise"], found.texts["joint"]) == ("The man lost his job", "so")
    assert found.options[0] == "ann paid."


@pytest.mark.parametrize(("asked", "joint"), [("cause", "because"), ("effect", "so")])
def test_the_joint_of_copa_stays_where_the_premise_is_cut_or_left_out(asked: str, joint: str) -> None:
    task, decoder = TASKS.get("copa"), decoder_tokenizer()
    long = task.example(row("copa", question=asked, premise="the river is cold water " * 9))
    encoded = PromptForm(task, decoder, 40, calibrated=True).encode([long])
    texts = [
        decoder.decode(one["input_ids"], skip_special_tokens=True)
        for one in (encoded.rows[0], encoded.rows[0]["context_free"])
    ]
    assert encoded.shortened == 1
    assert texts[0].startswith("the river")
    assert texts[0].endswith(f" {joint}")
    assert texts[1] == f" {joint}"


@pytest.mark.parametrize("form", ["classification", "prompt", "masked"])
def test_the_empty_question_of_two_rows_of_qqp_is_read_in_every_form(form: Any) -> None:
    tokenizer = decoder_tokenizer() if form == "prompt" else masked_tokenizer("roberta")
    example = TASKS.get("qqp").example(row("qqp", question2=""))
    (encoded,) = make_form(form, TASKS.get("qqp"), tokenizer, 512).encode([example]).rows
    text = tokenizer.decode(encoded["input_ids"])
    assert "Who is Bob" in text
    assert "Bob who" not in text


def test_the_split_that_is_reported_is_that_of_the_official_evaluation() -> None:
    on_test = {name for name in TASKS if TASKS.get(name).hub_validation == "test"}
    assert on_test == {"ag_news", "mr", "sst5", "trec"}
    assert {TASKS.get(name).hub_validation for name in {*TASKS} - on_test} == {"validation"}


def test_a_question_of_copa_is_cause_or_effect() -> None:
    with pytest.raises(DataError, match="column 'question': found 'why', expected cause or effect"):
        TASKS.get("copa").example(row("copa", question="why"))


def test_the_answers_to_one_question_of_multirc_are_one_group() -> None:
    task = TASKS.get("multirc")
    first, second = (task.example(row("multirc", answer=answer)) for answer in ("Ann", "Bob"))
    other = task.example(row("multirc", question="Who?"))
    assert first.group == second.group != other.group


def test_the_options_of_record_stand_for_its_entities() -> None:
    found = TASKS.get("record").example(row("record", answers=["Bob", "Ann"]))
    assert found.names == ("Rome", "Ann", "Bob")
    assert found.answers == (("Bob",), ("Ann",))
    assert found.label == 1, "the first entity that is accepted"


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"answers": ["Eve"]}, r"column 'answers': found \['Eve'\], none of which is among the entities"),
        ({"query": "Then she left."}, "column 'query': the text has no @placeholder"),
    ],
)
def test_a_row_of_record_that_cannot_be_answered_is_refused(changed: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        TASKS.get("record").example(row("record", **changed))


@pytest.mark.parametrize("score", [-0.1, 5.1, "much", None])
def test_a_score_of_stsb_is_a_number_from_0_to_5(score: object) -> None:
    with pytest.raises(DataError, match="expected a number from 0 to 5"):
        TASKS.get("stsb").example(row("stsb", label=score))


@pytest.mark.parametrize("name", [*CASES, *WRITTEN, *OWN])
def test_a_known_task_is_accepted(name: str) -> None:
    check_task(name)


@pytest.mark.parametrize(("name", "near"), [("ssst2", "sst2"), ("clasification", "classification")])
def test_an_unknown_task_is_refused_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(ConfigError, match=f"Unknown task '{name}'") as caught:
        check_task(name)
    assert f"Did you mean '{near}'?" in caught.value.hint
    assert "ag_news, boolq" in caught.value.hint
