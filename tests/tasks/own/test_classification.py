"""Tasks made from the user's own columns: which labels there are, in which order."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from loretta_cli.errors import ConfigError, DataError
from loretta_cli.tasks.own.classification import custom_task, discover_labels
from loretta_cli.tasks.sources import Columns, Row

METRICS = ("accuracy", "macro_f1")
COLUMNS = Columns(text="body", text_pair=None, label="kind", detected=False)


def rows(*labels: object) -> list[Row]:
    return [
        Row({"body": "a", "kind": label}, "a.jsonl", index) for index, label in enumerate(labels, start=1)
    ]


def discovered(labels: Sequence[object]) -> tuple[str, ...]:
    """The labels found, which must not depend on the order of the rows."""
    found = {discover_labels(rows(*order), "kind", None) for order in itertools.permutations(labels)}
    assert len(found) == 1
    return found.pop()


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (["b", "a", "b", "c"], ("a", "b", "c")),
        ([10, 9, 1], ("1", "9", "10")),
        ([10.0, 9.0, 100.0], ("9", "10", "100")),
        (["10", "9", "1"], ("1", "9", "10")),
        ([1, -1, 0, -10], ("-10", "-1", "0", "1")),
        ([True, False], ("false", "true")),
        ([1, 1.0, "1", "2"], ("1", "2")),
        (["b", 10, "a", 9], ("9", "10", "a", "b")),
        (["01", "1", "001"], ("001", "01", "1")),
        (["²", "1", "x"], ("1", "x", "²")),
        ([" a", "a ", "b"], ("a", "b")),
    ],
)
def test_labels_are_found_and_sorted_numbers_by_value(cells: list[object], names: tuple[str, ...]) -> None:
    assert discovered(cells) == names


def test_labels_that_are_given_are_taken_in_their_order() -> None:
    assert discover_labels(rows("a", "b"), "kind", ["c", "b", "a"]) == ("c", "b", "a")


@pytest.mark.parametrize("cells", [["a"], ["a", "a", " a "], [1, 1.0, "1"]])
def test_fewer_than_two_labels_are_refused(cells: list[object]) -> None:
    with pytest.raises(DataError, match=r"'kind' has 1 label .* needs at least 2") as caught:
        discover_labels(rows(*cells), "kind", None)
    assert "data.columns.label" in caught.value.hint
    assert "give more rows" in caught.value.hint
    with pytest.raises(DataError) as caught:
        discover_labels(rows(*"aaaaaaaaaa"), "kind", None)
    assert "give more rows" not in caught.value.hint


def test_a_custom_task_reads_its_columns_and_labels() -> None:
    task = custom_task(COLUMNS, ["cold", "warm"], METRICS)
    example = task.example(Row({"body": "ice", "kind": "cold"}, "a.csv", 2))
    assert (dict(example.texts), example.label) == ({"body": "ice"}, 0)
    assert task.head == ("body",)
    assert task.main_metric == "accuracy"


def test_a_custom_label_that_is_a_number_is_a_name_not_a_place() -> None:
    task = custom_task(COLUMNS, ["1", "2", "3"], METRICS)
    assert task.example(Row({"body": "a", "kind": 1}, "a.csv", 2)).label == 0
    with pytest.raises(DataError, match="found the label '0', expected one of 1, 2, 3"):
        task.example(Row({"body": "a", "kind": 0}, "a.csv", 2))


def test_the_prompt_of_a_custom_task_ends_before_the_labels() -> None:
    task = custom_task(COLUMNS, ["cold", "warm"], METRICS)
    assert task.prompt is not None
    assert task.prompt.render({"body": " ice \n"}) == "ice\nLabel:"
    assert task.prompt.options == (" cold", " warm")
    assert task.prompt.cut == "body"


def test_a_pair_stands_in_the_prompt_below_its_text() -> None:
    task = custom_task(Columns("a", "b", "kind", detected=False), ["x", "y"], METRICS)
    assert task.head == ("a", "b")
    assert task.prompt is not None
    assert task.prompt.render({"a": "one ", "b": " two"}) == "one\ntwo\nLabel:"


def test_the_masked_form_says_a_label_in_a_gap() -> None:
    task = custom_task(COLUMNS, ["cold", "warm"], METRICS)
    assert task.masked is not None
    assert task.masked.render({"body": " ice"}) == "ice\nLabel:{mask}."
    assert task.masked.words == (" cold", " warm")


def test_f1_is_for_two_labels_only(make) -> None:
    two = [{"text": "a", "label": label} for label in "ab"]
    assert make("classification", two, metrics=["f1"]).task.metrics == ("f1",)
    with pytest.raises(ConfigError, match="there are 3 labels"):
        make("classification", [*two, {"text": "c", "label": "c"}], metrics=["f1"])


def test_options_and_prompts_of_the_user_stand_in_for_the_labels(make) -> None:
    rows = [{"text": "ice", "label": "cold"}, {"text": "sun", "label": "warm"}]
    task = make("classification", rows, prompt="{text}? It is", options=["chilly", " hot"]).task
    assert task.prompt.render({"text": "ice"}) == "ice? It is"
    assert task.prompt.options == (" chilly", " hot")
    with pytest.raises(ConfigError, match=r"task\.options has 3 texts, .* 2 labels: cold, warm"):
        make("classification", rows, options=["a", "b", "c"])


def doubts(make, labels: Sequence[object]) -> str:
    """What is noted of rows with these labels, besides how many there are."""
    made = make("classification", [{"text": "a", "label": label} for label in labels])
    return "\n".join(made.notes[1:])


def test_labels_that_look_like_scores_are_doubted(make) -> None:
    assert "labels such as 0.37 are numbers: if they are scores, use --task regression" in doubts(
        make, ["0.37", "1.0", "0.5"]
    )
    assert "regression" not in doubts(make, ["1.0", "0.0", "nan", "inf", "two"])


def test_a_label_for_hardly_two_rows_is_doubted(make) -> None:
    many = [f"id-{number}" for number in range(20)]
    assert "20 labels in 20 training rows are too many to learn: is 'label'" in doubts(make, many)
    assert "too many" not in doubts(make, [f"{number // 2}" for number in range(20)])
    assert "too many" not in doubts(make, ["a", "b", "c"])
    given = make("classification", [{"text": "a", "label": label} for label in many], labels=many)
    assert "too many" not in "\n".join(given.notes)
