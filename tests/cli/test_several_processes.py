"""What a command does as one of several processes, before they talk to each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import loretta


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As torchrun starts a process; RANK is left to the test."""
    for name, value in (("WORLD_SIZE", "2"), ("MASTER_ADDR", "localhost"), ("MASTER_PORT", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("loretta_cli.cli.shell.may_tell_of_failure", lambda: True)
    return monkeypatch


def _as_rank(become: pytest.MonkeyPatch, rank: int) -> None:
    become.setenv("RANK", str(rank))
    become.setenv("LOCAL_RANK", str(rank))


COUNT = ("count-params", "--model", "meta-llama/Llama-2-7b-hf", "--method", "rep", "--json")


def test_a_verb_for_one_process_is_done_by_the_first(become: pytest.MonkeyPatch) -> None:
    _as_rank(become, 0)
    first = loretta(*COUNT)
    _as_rank(become, 1)
    other = loretta(*COUNT)

    assert first.exit_code == other.exit_code == 0
    assert first.document["trainable"] == 507_904
    assert "one process does this" in first.stderr
    assert other.stdout == other.stderr == ""


@pytest.mark.parametrize("verb", [("merge", "no-run"), ("export", "no-run", "--format", "lora")])
def test_the_others_do_not_even_look(verb: tuple[str, ...], become: pytest.MonkeyPatch) -> None:
    _as_rank(become, 1)
    outcome = loretta(*verb)

    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (0, "", "")


def test_a_batch_that_cannot_be_divided_is_refused_before_the_model_is_looked_for(
    become: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _as_rank(become, 0)
    outcome = loretta(
        *("train", "--model", "no-model", "--task", "sst2", "--output", tmp_path / "run"),
        *("--set", "training.batch_size=5", "--json"),
    )

    assert outcome.exit_code == 2
    assert "5 cannot be divided by 2 processes" in outcome.document["error"]["message"]
    assert not (tmp_path / "run").exists()


def test_only_the_first_process_refuses_a_folder_that_is_taken(
    become: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("x", encoding="utf-8")
    arguments = ("train", "--model", "no-model", "--output", tmp_path)
    _as_rank(become, 0)
    assert "exists and is not empty" in loretta(*arguments).stderr

    # By the time another looks, the first may have made the folder.
    _as_rank(become, 1)
    assert "No task given" in loretta(*arguments).stderr


def test_a_dry_run_is_shown_once(become: pytest.MonkeyPatch) -> None:
    _as_rank(become, 1)
    outcome = loretta("train", "quickstart", "--dry-run", "--json")

    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (0, "", "")


def test_a_count_without_a_launcher_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    outcome = loretta("train", "quickstart", "--json")

    assert outcome.exit_code == 2
    assert "not set: RANK" in outcome.document["error"]["message"]
    assert "torchrun" in outcome.document["error"]["hint"]
