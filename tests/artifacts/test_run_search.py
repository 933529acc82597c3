"""Finding runs below a folder, and by a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from loretta_cli.artifacts.run_search import find_named, run_folders, states_below
from loretta_cli.errors import RunError
from tests.run_folders import write_finished, write_unfinished


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(folder: Path) -> list[str]:
    """The runs that are found, as paths below the folder."""
    return [str(state.run.path.relative_to(folder)) for state in states_below(folder)]


def test_runs_of_comparisons_are_found_and_what_lies_in_a_run_is_not(here: Path) -> None:
    write_finished(here / "runs" / "one")
    write_finished(here / "runs" / "one" / "stages" / "1-sst2")
    write_unfinished(here / "runs" / "grid" / "cells" / "a")
    (here / "runs" / "merged").mkdir()
    (here / "runs" / "merged" / "config.json").write_text("{}", encoding="utf-8")

    assert names(here / "runs") == ["grid/cells/a", "one"]


def test_a_run_given_as_the_folder_is_the_only_one(here: Path) -> None:
    write_finished(here / "runs" / "one")

    assert run_folders(here / "runs" / "one") == [here / "runs" / "one"]


def test_a_run_without_its_config_is_listed_as_damaged(here: Path) -> None:
    write_finished(here / "runs" / "one").config_file.unlink()

    (state,) = states_below(here / "runs")

    assert (state.status, state.config) == ("damaged", None)


def test_a_config_of_another_program_is_no_run(here: Path) -> None:
    for name, text in (("other", "database: {host: x}\n"), ("recipe", "model: {name: x}\n"), ("torn", "[")):
        (here / "runs" / name).mkdir(parents=True)
        (here / "runs" / name / "config.yaml").write_text(text, encoding="utf-8")

    assert names(here / "runs") == []


def test_a_run_that_has_written_nothing_but_its_config_is_one(here: Path) -> None:
    run = write_unfinished(here / "runs" / "one")
    for file in (run.metrics_file, run.environment_file, run.origins_file):
        file.unlink()

    assert [state.status for state in states_below(here / "runs")] == ["incomplete"]


def test_hidden_folders_and_links_are_left_alone(here: Path) -> None:
    write_finished(here / "runs" / ".one.tmp")
    (here / "runs" / "loop").symlink_to(here / "runs", target_is_directory=True)

    assert names(here / "runs") == []


def test_a_cell_that_failed_before_it_had_a_folder_is_listed(here: Path) -> None:
    cells = here / "grid" / "cells"
    cells.mkdir(parents=True)
    (cells / "big.failure.json").write_text('{"reason": "cannot run"}', encoding="utf-8")
    (cells / "big.yaml").write_text("adapter: {method: adp}\ntask: {name: trec}\n", encoding="utf-8")

    (state,) = states_below(here / "grid")

    assert (state.run.path.name, state.status, state.reason) == ("big", "failed", "cannot run")
    assert (state.method, state.tasks) == ("adp", ["trec"])


def test_a_folder_that_is_missing_has_no_runs(here: Path) -> None:
    assert states_below(here / "missing") == []


@pytest.mark.parametrize("name", ["runs/one", "one", "./runs/one"])
def test_a_run_is_found_by_its_path_and_by_its_bare_name(here: Path, name: str) -> None:
    write_finished(here / "runs" / "one")

    assert find_named(name).run.path.resolve() == here / "runs" / "one"


def test_a_bare_name_is_looked_for_in_comparisons_too(here: Path) -> None:
    write_finished(here / "runs" / "grid" / "cells" / "one")

    assert find_named("one").run.path == Path("runs/grid/cells/one")


def test_a_name_of_two_runs_is_refused_with_both(here: Path) -> None:
    for grid in ("a", "b"):
        write_finished(here / "runs" / grid / "cells" / "one")

    with pytest.raises(RunError, match="the name of 2 runs") as caught:
        find_named("one")

    assert "runs/a/cells/one, runs/b/cells/one" in caught.value.hint


@pytest.mark.parametrize("name", ["oen", "runs/oen"])
def test_a_misspelt_name_gets_the_nearest_one(here: Path, name: str) -> None:
    write_finished(here / "runs" / "one")

    with pytest.raises(RunError, match=f"no run {name}") as caught:
        find_named(name)

    assert "Did you mean 'one'?" in caught.value.hint


def test_without_any_run_the_hint_is_how_to_make_one(here: Path) -> None:
    with pytest.raises(RunError) as caught:
        find_named("one")

    assert "loretta train quickstart" in caught.value.hint


def test_a_folder_within_a_run_or_around_runs_is_explained(here: Path) -> None:
    write_finished(here / "runs" / "one")

    with pytest.raises(RunError) as within:
        find_named("runs/one/adapter")
    with pytest.raises(RunError, match="it holds 1 run") as around:
        find_named("runs")

    assert within.value.hint == "It is part of a run: loretta show runs/one"
    assert around.value.hint == "See all runs: loretta runs runs"
