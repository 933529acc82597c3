"""Choosing and ordering runs for a list."""

from __future__ import annotations

from pathlib import Path

import pytest

from loretta_cli.artifacts.run_listing import check_order, chosen, folder_size, ordered, place_of_runs
from loretta_cli.artifacts.run_search import states_below
from loretta_cli.artifacts.run_state import RunState
from loretta_cli.errors import ConfigError, RunError
from tests.run_folders import config_of_run, write_finished, write_unfinished


@pytest.fixture
def states(tmp_path: Path) -> list[RunState]:
    """Four runs: two accuracies, a perplexity, and one without a score."""
    write_finished(tmp_path / "b", score=0.6, changed_at=300.0)
    write_finished(
        tmp_path / "a", config_of_run(method="adp"), score=0.8, adapter_bytes=9000, changed_at=100.0
    )
    language = config_of_run(task="language-modeling")
    write_finished(tmp_path / "c", language, score=9.0, metric="perplexity", changed_at=200.0)
    write_unfinished(tmp_path / "d", changed_at=50.0).metrics_file.unlink()
    return states_below(tmp_path)


def names(states: list[RunState]) -> list[str]:
    """The names of the folders."""
    return [state.run.path.name for state in states]


@pytest.mark.parametrize(
    ("order", "expected"),
    [("time", "bca"), ("name", "abcd"), ("metric", "abcd"), ("size", "a")],
)
def test_runs_are_ordered(states: list[RunState], order: str, expected: str) -> None:
    assert "".join(names(ordered(states, order))).startswith(expected)


def test_of_a_perplexity_the_least_comes_first(tmp_path: Path) -> None:
    for name, score in (("a", 9.0), ("b", 3.0)):
        write_finished(tmp_path / name, score=score, metric="perplexity")

    assert names(ordered(states_below(tmp_path), "metric")) == ["b", "a"]


def test_runs_are_chosen_by_task_and_by_method(states: list[RunState]) -> None:
    assert names(chosen(states, ["sst2"], [])) == ["a", "b", "d"]
    assert names(chosen(states, ["sst2", "language-modeling"], ["rep"])) == ["b", "c", "d"]
    assert names(chosen(states, ["trec"], [])) == []
    assert names(chosen(states, [], [])) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("tasks", "methods", "hint"),
    [(["sst22"], [], "'sst2'"), ([], ["repp"], "'rep'"), (["trek"], [], "'trec'")],
)
def test_a_misspelt_filter_gets_the_nearest_name(
    states: list[RunState], tasks: list[str], methods: list[str], hint: str
) -> None:
    with pytest.raises(ConfigError, match="Unknown") as caught:
        chosen(states, tasks, methods)

    assert f"Did you mean {hint}?" in caught.value.hint


def test_a_misspelt_order_gets_the_nearest_one() -> None:
    with pytest.raises(ConfigError) as caught:
        check_order("sise")

    assert "Did you mean 'size'?" in caught.value.hint


def test_a_folder_that_nobody_asked_for_may_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert place_of_runs(None) == Path("runs")


def test_a_folder_that_was_asked_for_has_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "file").write_text("x", encoding="utf-8")

    with pytest.raises(RunError, match="no folder") as caught:
        place_of_runs(tmp_path / "rusn")
    with pytest.raises(RunError, match="is a file"):
        place_of_runs(tmp_path / "file")

    assert "Did you mean 'runs'?" in caught.value.hint


def test_hidden_folders_are_not_proposed(tmp_path: Path) -> None:
    for name in (".rusn", "others"):
        (tmp_path / name).mkdir()

    with pytest.raises(RunError) as caught:
        place_of_runs(tmp_path / "rusn")

    assert caught.value.hint == "Known folders: others."


def test_the_name_of_a_run_is_told_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_finished(tmp_path / "runs" / "one")

    with pytest.raises(RunError) as caught:
        place_of_runs(Path("one"))

    assert caught.value.hint == f"The run {Path('runs') / 'one'}: loretta show one"


def test_the_size_of_a_folder_is_that_of_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_bytes(b"x" * 100)
    (tmp_path / "b").write_bytes(b"x" * 11)

    assert folder_size(tmp_path) == 111
