"""The lock of a run in training."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from loretta_cli.artifacts.run_lock import LOCK, check_not_running, is_running, running
from loretta_cli.errors import RunError
from tests.command_line import child_environment, files_below

HOLD = """
import sys, time
from pathlib import Path
from loretta_cli.artifacts.run_lock import running
with running(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_run_is_running_within_the_block_and_not_behind_it(tmp_path: Path) -> None:
    assert not is_running(tmp_path)
    with running(tmp_path):
        assert is_running(tmp_path)

    assert not is_running(tmp_path)
    assert files_below(tmp_path) == []


def test_an_error_in_the_block_lets_go_of_the_lock(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wrong"), running(tmp_path):
        raise ValueError("wrong")

    assert not is_running(tmp_path)


def test_a_second_training_of_one_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loretta_cli.artifacts.run_lock._SECONDS_BETWEEN", 0.0)
    refused = pytest.raises(RunError, match="Another process is training")
    with running(tmp_path), refused as caught, running(tmp_path):
        raise AssertionError("two trainings of one run")

    assert "loretta show" in caught.value.hint


def test_a_run_in_training_is_neither_resumed_nor_replaced(tmp_path: Path) -> None:
    with running(tmp_path), pytest.raises(RunError, match="Another process"):
        check_not_running(tmp_path)
    check_not_running(tmp_path)


def test_a_killed_process_holds_no_lock_though_its_file_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=child_environment()
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert is_running(tmp_path)
        holder.kill()
        holder.wait()

    assert (tmp_path / LOCK).is_file()
    assert not is_running(tmp_path)
    with running(tmp_path):
        assert is_running(tmp_path)


def test_where_there_are_no_locks_nothing_is_running_and_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loretta_cli.artifacts.run_lock.fcntl", None)
    with running(tmp_path), running(tmp_path):
        assert not is_running(tmp_path)


def test_a_folder_that_is_not_there_is_not_running(tmp_path: Path) -> None:
    assert not is_running(tmp_path / "missing")
