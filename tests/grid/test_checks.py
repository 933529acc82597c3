"""Checking cells before the first one runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from loretta_cli.errors import ConfigError, LorettaError, ModelError
from loretta_cli.grid.axes import Axes
from loretta_cli.grid.checks import check_cells, names_of, told_once
from loretta_cli.planning import checking
from tests.command_line import write_labelled, write_sentences
from tests.grid.fake_runs import cells_of
from tests.tiny_folders import save_tiny_encoder


@pytest.fixture
def encoder(tmp_path: Path) -> str:
    """A tiny BERT."""
    return str(save_tiny_encoder(tmp_path / "encoder"))


def test_a_task_on_own_data_is_counted_with_the_labels_of_the_data(tmp_path: Path, encoder: str) -> None:
    data = str(write_labelled(tmp_path / "labelled.csv"))
    axes = Axes(models=(encoder,), methods=("head",), tasks=("classification",))
    columns = ("data.columns.text=message", "data.columns.label=mood")

    three = check_cells(cells_of(axes, *columns, data=data)).popitem()[1]
    two = check_cells(
        cells_of(
            Axes(models=(encoder,), methods=("head",), tasks=("sst2",)),
            data=str(write_sentences(tmp_path / "sst2")),
        )
    ).popitem()[1]

    assert three.error is None
    assert two.error is None
    # A weight and a bias for each label.
    assert three.trainable is not None
    assert two.trainable is not None
    assert three.trainable * 2 == two.trainable * 3


def test_a_form_that_the_model_cannot_have_is_found_and_the_others_are_counted(
    tmp_path: Path, encoder: str
) -> None:
    for task in ("sst2", "squad"):
        write_sentences(tmp_path / "data" / task)
    (tmp_path / "data" / "squad" / "validation.csv").unlink()
    row = '{"id": "1", "title": "t", "context": "a b", "question": "q?", "answers": {"text": ["a"]}}\n'
    for split in ("train", "validation"):
        (tmp_path / "data" / "squad" / f"{split}.jsonl").write_text(row * 20, encoding="utf-8")
    axes = Axes(models=(encoder,), methods=("rep", "head"), tasks=("sst2", "squad"))

    checks = check_cells(cells_of(axes, data=str(tmp_path / "data")))

    assert [check.error is None for check in checks.values()] == [True, True, False, False]
    wrong = checks["squad-rep-encoder-seed0"]
    assert isinstance(wrong.error, ConfigError)
    assert wrong.trainable is None


def test_what_cells_share_is_planned_once(
    tmp_path: Path, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = []
    original = checking.make_plan
    monkeypatch.setattr(checking, "make_plan", lambda config: planned.append(config) or original(config))
    axes = Axes(models=(encoder,), methods=("rep", "head", "lora", "full"), tasks=("sst2",), seeds=(0, 1, 2))

    checks = check_cells(cells_of(axes, data=str(write_sentences(tmp_path / "sst2"))))

    assert len(checks) == 12
    assert all(check.trainable for check in checks.values())
    assert len({check.trainable for check in checks.values()}) == 4
    assert len(planned) == 1


def test_an_adapter_that_does_not_fit_is_found(tmp_path: Path, encoder: str) -> None:
    data = str(write_sentences(tmp_path / "sst2"))
    axes = Axes(models=(encoder,), methods=("lora", "head"), tasks=("sst2",))

    lora, _ = check_cells(cells_of(axes, "adapter.target_modules=[nowhere]", data=data)).values()

    assert lora.error is not None
    assert "nowhere" in str(lora.error)


def test_a_model_that_is_not_at_hand_is_counted_by_formula() -> None:
    axes = Axes(
        models=("microsoft/deberta-base", "./no-such-model"), methods=("head",), tasks=("sst2", "trec")
    )

    checks = check_cells(cells_of(axes, data="./no-such-data"))

    two, six = (checks[f"{task}-head-deberta-base-seed0"] for task in ("sst2", "trec"))
    assert two.error is not None
    assert two.trainable is not None
    assert six.trainable is not None
    assert six.trainable - two.trainable == 4 * (768 + 1)
    missing = checks["sst2-head-no-such-model-seed0"]
    assert isinstance(missing.error, ModelError)
    assert missing.trainable is None


def test_a_fault_that_cells_share_is_told_once() -> None:
    first, second, third = cells_of(Axes(methods=("rep", "adp", "lora"), tasks=("sst2",)))
    alike = [LorettaError("It is not there.", hint="Make it.") for _ in range(2)]

    told = told_once([(first, alike[0]), (second, alike[1]), (third, ValueError("a bug"))], "cannot run")

    assert [(error.message, error.hint) for error in told] == [
        (f"{first.name}, {second.name} cannot run: It is not there.", "Make it."),
        (f"{third.name} cannot run: ValueError: a bug", ""),
    ]


def test_many_names_are_not_all_told() -> None:
    assert names_of(["a", "b", "c"]) == "a, b, c"
    assert names_of(list("abcdef")) == "a, b, c and 3 more"
