"""Which adapter of a run is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from loretta_cli.artifacts.adapter_choice import find_adapter
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.errors import ConfigError, RunError
from tests.run_folders import config_of_run, write_finished, write_unfinished


def give_adapter(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text("{}", encoding="utf-8")


def test_a_finished_run_has_its_adapter_and_its_checkpoints(tmp_path: Path) -> None:
    run = write_finished(tmp_path / "run")

    assert find_adapter(run.path, None) == (run, None)
    assert find_adapter(run.path, "best") == (run, None)
    assert find_adapter(run.path, "last") == (run, run.checkpoints / "checkpoint-6")


def test_a_run_in_training_has_its_best_and_its_last(tmp_path: Path) -> None:
    run = write_unfinished(tmp_path / "run", checkpoint=4)
    give_adapter(run.best)

    assert find_adapter(run.path, "best") == (run, run.best)
    assert find_adapter(run.path, "last") == (run, run.checkpoints / "checkpoint-4")
    with pytest.raises(RunError, match="no finished adapter") as caught:
        find_adapter(run.path, None)
    assert "--checkpoint best" in caught.value.hint


def test_a_checkpoint_that_was_damaged_is_not_taken(tmp_path: Path) -> None:
    run = write_unfinished(tmp_path / "run", checkpoint=4)
    (run.checkpoints / "checkpoint-4" / "trainer_state.json").write_text("{", encoding="utf-8")

    with pytest.raises(RunError, match="no complete checkpoint"):
        find_adapter(run.path, "last")


def test_where_there_is_none_it_is_said(tmp_path: Path) -> None:
    run = write_unfinished(tmp_path / "run")

    with pytest.raises(RunError, match="no best adapter yet"):
        find_adapter(run.path, "best")
    with pytest.raises(RunError, match="no finished adapter") as caught:
        find_adapter(run.path, None)
    assert "--checkpoint" not in caught.value.hint
    with pytest.raises(ConfigError, match="--checkpoint is 'first'"):
        find_adapter(run.path, "first")


def test_a_run_of_several_tasks_has_no_one_checkpoint(tmp_path: Path) -> None:
    run = write_finished(tmp_path / "run", config_of_run("task.names=[sst2, mr]", task=None))

    with pytest.raises(ConfigError, match="is of several") as caught:
        find_adapter(run.path, "last")
    assert str(RunFolder(run.path).stages[0].path) in caught.value.hint


def test_a_finished_run_that_lost_its_adapters_settings_is_not_sent_to_train_on(tmp_path: Path) -> None:
    run = write_finished(tmp_path / "run")
    give_adapter(run.best)
    (run.adapter / "adapter_config.json").unlink()

    with pytest.raises(RunError, match=r"has no adapter_config\.json") as caught:
        find_adapter(run.path, None)
    assert str(run.best) in caught.value.hint
    assert "--resume" not in caught.value.hint


def test_a_folder_that_is_no_run_gets_no_hint_of_a_best_adapter(tmp_path: Path) -> None:
    give_adapter(tmp_path / "best")

    with pytest.raises(RunError, match="not a run folder") as caught:
        find_adapter(tmp_path, None)
    assert "--checkpoint" not in caught.value.hint
