"""Hub data sets, with the hub's own reader replaced: nothing here reaches a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loretta_cli.errors import DataError
from loretta_cli.tasks.sources.hub import is_hub_id, load_hub

if TYPE_CHECKING:
    from loretta_cli.tasks.sources import Splits

datasets = pytest.importorskip("datasets")

Rows = list[dict[str, object]]
TWO: Rows = [{"text": "a", "label": 0}, {"text": "b", "label": 1}]


class Hub:
    """Stands in for ``datasets.load_dataset``: keeps the call, then answers or fails."""

    def __init__(self, answer: dict[str, Rows] | Exception) -> None:
        self.answer = answer
        self.calls: list[tuple[tuple[object, ...], dict[str, object]]] = []

    def __call__(self, *args: object, **kwargs: object) -> dict[str, Rows]:
        self.calls.append((args, kwargs))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def load(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, Rows] | Exception, source: str = "org/name"
) -> Splits:
    monkeypatch.setattr(datasets, "load_dataset", Hub(answer))
    return load_hub(source, validation_fraction=0.5, seed=0)


@pytest.mark.parametrize("source", ["org/name", "nyu-mll/glue:mnli", "a.b/c_d-1:20220301.en"])
def test_a_hub_id_is_an_organisation_a_name_and_perhaps_a_config(source: str) -> None:
    assert is_hub_id(source)


@pytest.mark.parametrize("source", ["name", "a/b/c", "/a/b", "a/b:", "a b/c", "a/b:c/d", "bundled:x"])
def test_anything_else_is_no_hub_id(source: str) -> None:
    assert not is_hub_id(source)
    with pytest.raises(DataError, match="not a hub data set id"):
        load_hub(source, validation_fraction=0.5, seed=0)


@pytest.mark.parametrize(("source", "config"), [("org/name", None), ("org/name:part", "part")])
def test_name_and_config_are_asked_for_and_no_remote_code_is_trusted(
    monkeypatch: pytest.MonkeyPatch, source: str, config: str | None
) -> None:
    hub = Hub({"train": TWO, "validation": TWO})
    monkeypatch.setattr(datasets, "load_dataset", hub)
    load_hub(source, validation_fraction=0.5, seed=0)
    assert hub.calls == [(("org/name", config), {})]


def test_rows_are_named_by_id_and_split(monkeypatch: pytest.MonkeyPatch) -> None:
    splits = load(monkeypatch, {"train": TWO, "validation": TWO[:1], "test": TWO}, "org/name:part")
    assert [len(rows) for rows in (splits.train, splits.validation, splits.test)] == [2, 1, 2]
    assert splits.train[1].place == "org/name:part/train, row 2"
    assert splits.train[1].values == TWO[1]
    assert splits.description == (
        "2 train rows from org/name:part/train, 1 validation row from org/name:part/validation, "
        "2 test rows from org/name:part/test"
    )


def test_a_real_dataset_dict_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    real = datasets.DatasetDict(
        {"train": datasets.Dataset.from_list(TWO), "dev": datasets.Dataset.from_list(TWO)}
    )
    assert [row.values for row in load(monkeypatch, real).validation] == TWO


@pytest.mark.parametrize("name", ["valid", "dev", "validation_matched"])
def test_the_validation_split_has_several_names(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    splits = load(monkeypatch, {"train": TWO, name: TWO[1:]})
    assert [row.file for row in splits.validation] == [f"org/name/{name}"]


def test_another_split_is_validated_on_where_it_is_asked_for_and_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for answer, name in (
        ({"train": TWO, "validation": TWO, "test": TWO}, "test"),
        ({"train": TWO, "test": TWO}, "test"),
        ({"train": TWO, "validation": TWO}, "validation"),
    ):
        monkeypatch.setattr(datasets, "load_dataset", Hub(answer))
        splits = load_hub("org/name", validation_fraction=0.5, seed=0, validation_split="test")
        assert [row.file for row in splits.validation] == [f"org/name/{name}"] * 2
        assert len(splits.train) == 2


def test_the_second_validation_split_of_mnli_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    splits = load(monkeypatch, {"train": TWO, "validation_matched": TWO[1:], "validation_mismatched": TWO})
    assert [row.file for row in splits.validation_mismatched] == ["org/name/validation_mismatched"] * 2
    assert "2 validation_mismatched rows from org/name/validation_mismatched" in splits.description


def test_without_a_validation_split_a_share_of_train_is_held_out_and_test_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    splits = load(monkeypatch, {"train": TWO * 2, "test": TWO})
    assert [len(rows) for rows in (splits.train, splits.validation, splits.test)] == [2, 2, 2]
    assert splits.description == (
        "2 train rows and 2 validation rows held out of org/name/train (seed 0), "
        "2 test rows from org/name/test"
    )


@pytest.mark.parametrize("answer", [{"test": TWO}, {"train": [], "test": TWO}, {}])
def test_a_data_set_without_train_rows_is_refused(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, Rows]
) -> None:
    with pytest.raises(DataError, match="no train rows; its splits are"):
        load(monkeypatch, answer)


@pytest.mark.parametrize(
    "failure",
    [
        ValueError("Config name is missing.\nPlease pick one among: ['a', 'b']\n"),
        RuntimeError("Dataset scripts are no longer supported"),
        KeyError("odd"),
        TimeoutError(),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_a_failure_is_one_sentence_that_says_what_was_asked_and_why(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    with pytest.raises(DataError) as caught:
        load(monkeypatch, failure)
    message = caught.value.message
    assert message.startswith("Cannot read the data set 'org/name' of the hub: ")
    reason = (str(failure) or "TimeoutError").split("\n")[0]
    assert reason.rstrip(".") in message
    assert "\n" not in message
    assert "org/name:config" in caught.value.hint
    assert caught.value.__cause__ is failure


def test_without_the_hub_the_hint_tells_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError) as caught:
        load(monkeypatch, ConnectionError("Couldn't reach 'org/name' on the Hub"))
    assert "it is neither a file nor a folder, and it is not in the cache" in caught.value.message
    assert "Unset HF_HUB_OFFLINE" in caught.value.hint
    assert ".parquet" in caught.value.hint


def test_a_long_reason_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError) as caught:
        load(monkeypatch, RuntimeError("x" * 5000))
    assert len(caught.value.message) < 500
