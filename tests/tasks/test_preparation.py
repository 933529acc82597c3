"""From a data source to checked examples: custom tasks, one split, hidden labels, samples of rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from loretta_cli.config import DataSettings, TaskSettings
from loretta_cli.errors import ConfigError, DataError
from loretta_cli.tasks import TASKS, Example, Task, preparation
from loretta_cli.tasks.preparation import TaskData, prepare_split, prepare_task
from loretta_cli.tasks.sources import Row, Splits, hub

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write rows as .jsonl below the test's folder."""

    def write_file(name: str, rows: Sequence[dict[str, Any]]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write_file


def reviews(count: int, labels: Sequence[object] = (0, 1)) -> list[dict[str, Any]]:
    return [{"sentence": f"review {i}", "label": labels[i % len(labels)]} for i in range(count)]


def settings(source: Path | None, **values: Any) -> DataSettings:
    return DataSettings.model_validate({"source": str(source) if source else None, **values})


def texts(data: TaskData) -> list[str]:
    return [example.texts["sentence"] for example in data.validation]


def test_a_registered_task_keeps_its_labels_whatever_the_rows_have(write: Write, tmp_path: Path) -> None:
    write("train.jsonl", reviews(4, labels=[1]))
    write("validation.jsonl", reviews(2))
    data = prepare_task(TaskSettings(name="sst2"), settings(tmp_path), seed=0)
    assert data.task is TASKS.get("sst2")
    assert [example.label for example in (*data.train, *data.selection)] == [1, 1, 1, 1]
    assert [example.label for example in data.validation] == [0, 1]
    assert data.notes == (
        f"4 train rows from {tmp_path}/train.jsonl, 2 validation rows from {tmp_path}/validation.jsonl",
        "1 of the 4 train rows is held out to choose the checkpoint",
    )


def test_a_bad_row_of_either_split_is_named(write: Write, tmp_path: Path) -> None:
    write("train.jsonl", reviews(3))
    write("validation.jsonl", [*reviews(2), {"sentence": "x", "label": 7}])
    with pytest.raises(DataError, match=r"validation\.jsonl, line 3, column 'label': found the label 7"):
        prepare_task(TaskSettings(name="sst2"), settings(tmp_path), seed=0)


def test_a_custom_task_finds_columns_and_labels_and_says_so(write: Write) -> None:
    source = write("all.jsonl", reviews(20, labels=["b", "c", "a"]))
    data = prepare_task(
        TaskSettings(name="classification"), settings(source, validation_fraction=0.25), seed=3
    )
    assert (len(data.train) + len(data.selection), len(data.validation)) == (15, 5)
    assert data.task.labels == ("a", "b", "c")
    assert data.notes[1:3] == ("3 labels: a, b, c", "columns found: text=sentence, label=label")


def test_what_is_held_out_of_one_file_is_the_same_for_every_seed_of_a_training(write: Write) -> None:
    source = write("all.jsonl", reviews(40))
    asked = TaskSettings(name="classification")
    one, other = (prepare_task(asked, settings(source), seed=seed) for seed in (1, 2))
    moved = prepare_task(asked, settings(source, seed=5), seed=1)
    assert one.validation == other.validation != moved.validation
    assert one.selection != other.selection


def test_a_label_that_only_validation_rows_have_is_refused(write: Write, tmp_path: Path) -> None:
    write("train.jsonl", reviews(4, labels=["a", "b"]))
    write("validation.jsonl", reviews(3, labels=["a", "b", "c"]))
    with pytest.raises(
        DataError, match=r"validation\.jsonl, line 3, .*found the label 'c', expected one of a, b"
    ):
        prepare_task(TaskSettings(name="classification"), settings(tmp_path), seed=0)


def test_labels_that_are_given_may_be_missing_in_the_rows(write: Write, tmp_path: Path) -> None:
    write("train.jsonl", reviews(4, labels=["a", "b"]))
    write("validation.jsonl", reviews(3, labels=["a", "b", "c"]))
    data = prepare_task(
        TaskSettings(name="classification"), settings(tmp_path, labels=["c", "b", "a"]), seed=0
    )
    assert [example.label for example in data.validation] == [2, 1, 0]


def test_a_custom_row_without_text_is_refused_before_labels_are_counted(write: Write, tmp_path: Path) -> None:
    write("train.jsonl", [{"sentence": "a", "label": "x"}, {"sentence": None, "label": "y"}])
    write("validation.jsonl", reviews(2, labels=["x", "y"]))
    with pytest.raises(DataError, match=r"train\.jsonl, line 2, column 'sentence'"):
        prepare_task(TaskSettings(name="classification"), settings(tmp_path), seed=0)


def test_many_labels_are_noted_in_short(write: Write) -> None:
    source = write("all.jsonl", reviews(60, labels=range(20)))
    data = prepare_task(TaskSettings(name="classification"), settings(source), seed=0)
    assert data.notes[1] == "20 labels: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …"


def test_samples_of_rows_are_drawn_by_the_seed(write: Write, tmp_path: Path) -> None:
    write("train.jsonl", reviews(40))
    write("validation.jsonl", reviews(30))
    asked = settings(tmp_path, train_rows=5, validation_rows=4)
    first, again, other = (prepare_task(TaskSettings(name="sst2"), asked, seed=seed) for seed in (1, 1, 2))
    assert (len(first.train), len(first.validation)) == (5, 4)
    assert first.train == again.train
    assert first.train != other.train


def test_a_custom_task_without_data_is_refused() -> None:
    with pytest.raises(ConfigError, match="--data is missing"):
        prepare_task(TaskSettings(name="classification"), settings(None), seed=0)


@pytest.mark.parametrize(
    ("values", "key"),
    [({"columns": {"text": "sentence"}}, "data.columns.text"), ({"labels": ["a", "b"]}, "data.labels")],
)
def test_columns_and_labels_are_refused_for_a_task_that_has_its_own(
    write: Write, values: dict[str, Any], key: str
) -> None:
    source = write("all.jsonl", reviews(4))
    with pytest.raises(ConfigError, match=f"{key} is set, but the task sst2 has its own"):
        prepare_task(TaskSettings(name="sst2"), settings(source, **values), seed=0)


def test_a_registered_task_without_data_is_read_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_splits(source: str, **_: object) -> Splits:
        asked.append(source)
        rows = tuple(Row({"sentence": "a", "label": 1}, source, number) for number in (1, 2))
        return Splits(rows, rows, (), "from the hub")

    monkeypatch.setattr(preparation, "load_splits", load_splits)
    assert prepare_task(TaskSettings(name="sst2"), settings(None), seed=0).notes[0] == "from the hub"
    assert asked == ["nyu-mll/glue:sst2"]


@pytest.mark.parametrize(("name", "split"), [("mr", "test"), ("classification", "validation")])
def test_a_run_and_an_evaluation_report_the_same_split_of_the_hub(
    monkeypatch: pytest.MonkeyPatch, name: str, split: str
) -> None:
    def download(source: str) -> dict[str, tuple[Row, ...]]:
        return {
            part: tuple(Row({"text": f"{part} {n}", "label": n % 2}, part, n) for n in range(6))
            for part in ("train", "validation", "test")
        }

    monkeypatch.setattr(hub, "_download", download)
    source = DataSettings(source="org/reviews")
    run = prepare_task(TaskSettings(name=name), source, seed=0)
    again = prepare_split(TaskSettings(name=name), source, "validation", rows=None, seed=0)
    assert run.validation == again.validation
    assert [example.texts["text"] for example in run.validation] == [f"{split} {n}" for n in range(6)]


def test_a_template_is_checked_against_one_row(monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    read: list[Row] = []
    example = Task.example

    def counted(task: Task, row: Row) -> Example:
        read.append(row)
        return example(task, row)

    monkeypatch.setattr(Task, "example", counted)
    source = settings(write("all.jsonl", reviews(20)))
    asked = TaskSettings(name="sst2", prompt="{sentence} It was")
    prepare_split(asked, source, "test", rows=None, seed=0, whole_file=True)
    assert len(read) == 1 + 20


def test_one_split_stands_in_validation(write: Write, tmp_path: Path) -> None:
    write("test.jsonl", reviews(3))
    data = prepare_split(TaskSettings(name="sst2"), settings(tmp_path), "test", rows=None, seed=0)
    assert data.train == ()
    assert texts(data) == ["review 0", "review 1", "review 2"]


def test_the_held_out_share_of_a_file_is_that_of_training(write: Write) -> None:
    source = settings(write("all.jsonl", reviews(20)), validation_fraction=0.3)
    trained = prepare_task(TaskSettings(name="sst2"), source, seed=5)
    evaluated = prepare_split(TaskSettings(name="sst2"), source, "validation", rows=None, seed=5)
    assert evaluated.validation == trained.validation
    everything = prepare_split(TaskSettings(name="sst2"), source, "train", rows=None, seed=5).validation
    assert sorted(row.texts["sentence"] for row in everything) == sorted(
        row.texts["sentence"] for row in (*trained.train, *trained.selection)
    )


def test_a_file_that_was_not_trained_on_counts_whole(write: Write) -> None:
    source = settings(write("new.jsonl", reviews(1)))
    data = prepare_split(TaskSettings(name="sst2"), source, "validation", rows=None, seed=0, whole_file=True)
    assert texts(data) == ["review 0"]


def test_rows_limits_the_split_to_a_sample(write: Write) -> None:
    source = settings(write("new.jsonl", reviews(30)))
    few, more = (
        prepare_split(TaskSettings(name="sst2"), source, "test", rows=rows, seed=0, whole_file=True)
        for rows in (3, 6)
    )
    assert texts(few) == texts(more)[:3]
    assert len(set(texts(more))) == 6
    other = prepare_split(TaskSettings(name="sst2"), source, "test", rows=6, seed=1, whole_file=True)
    assert texts(other) != texts(more)


@pytest.mark.parametrize("hidden", [-1, "-1"])
def test_a_split_that_hides_its_labels_is_refused(write: Write, tmp_path: Path, hidden: object) -> None:
    write("test.jsonl", reviews(3, labels=[hidden]))
    with pytest.raises(DataError, match="'test' hides its labels"):
        prepare_split(TaskSettings(name="sst2"), settings(tmp_path), "test", rows=None, seed=0)


def test_one_row_without_a_label_is_a_fault_of_that_row(write: Write, tmp_path: Path) -> None:
    write("test.jsonl", reviews(3, labels=[0, -1, 1]))
    with pytest.raises(DataError, match=r"test\.jsonl, line 2, column 'label': found the label -1"):
        prepare_split(TaskSettings(name="sst2"), settings(tmp_path), "test", rows=None, seed=0)


def test_a_custom_split_is_read_with_the_labels_of_the_run(write: Write, tmp_path: Path) -> None:
    write("test.jsonl", reviews(2, labels=["b"]))
    run = settings(tmp_path, labels=["a", "b"], columns={"text": "sentence", "label": "label"})
    data = prepare_split(TaskSettings(name="classification"), run, "test", rows=None, seed=0)
    assert [example.label for example in data.validation] == [1, 1]


@pytest.mark.parametrize(("protocol", "name"), [({}, "selection"), ({"protocol": "paper"}, "validation")])
def test_what_chooses_the_checkpoint_has_a_name(write: Write, protocol: dict[str, str], name: str) -> None:
    source = settings(write("all.jsonl", reviews(20)), **protocol)
    assert prepare_task(TaskSettings(name="sst2"), source, seed=0).selection_split == name


def test_the_users_words_reach_a_task_of_the_registry(write: Write) -> None:
    source = settings(write("all.jsonl", reviews(20)))
    asked = TaskSettings(name="sst2", prompt="Review: {sentence}\n", options=["bad", "good"])
    for data in (
        prepare_task(asked, source, seed=0),
        prepare_split(asked, source, "validation", rows=None, seed=0),
    ):
        assert data.task.prompt is not None
        assert data.task.prompt.render({"sentence": "fine"}) == "Review: fine\n"
        assert data.task.prompt.options == ("bad", "good")


def test_a_template_of_an_own_task_reads_columns_that_have_no_role(write: Write) -> None:
    rows = [{"text": f"t{i}", "year": i, "label": "ab"[i % 2]} for i in range(10)]
    asked = TaskSettings(name="classification", prompt="{year}: {text}")
    data = prepare_task(asked, settings(write("all.jsonl", rows)), seed=0)
    assert {example.texts["text"] for example in data.train} <= {f"t{i}" for i in range(10)}
    assert all(example.texts["text"] == f"t{example.texts['year']}" for example in data.train)


def test_metrics_of_a_task_that_has_its_own_are_refused(write: Write) -> None:
    source = settings(write("all.jsonl", reviews(4)))
    with pytest.raises(ConfigError, match=r"task\.metrics is set, but the task sst2 has its own metrics"):
        prepare_task(TaskSettings(name="sst2", metrics=["f1"]), source, seed=0)


def test_an_unknown_task_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Unknown task 'regresion'") as caught:
        prepare_task(TaskSettings(name="regresion"), settings(Path("none.csv")), seed=0)
    assert "Did you mean 'regression'?" in caught.value.hint


@pytest.mark.parametrize("name", ["regression", "multiple-choice", "generation", "language-modeling"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    for suffix in (".csv", ".jsonl", ".txt"):
        path = tmp_path / f"empty{suffix}"
        path.write_text("")
        with pytest.raises(DataError, match=r"empty\.(csv is empty|jsonl has no rows|txt has no text)"):
            prepare_task(TaskSettings(name=name), settings(path), seed=0)
