"""Places that cannot be written to: refused before any work, or one sentence when they fill up."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import FinishedRun, Workplace
from tests.cli.refusal import assert_refused, train_command
from tests.command_line import Outcome, files_below, loretta
from tests.mounting import python_on_mount


def test_an_output_without_permission_is_refused_before_any_work(
    workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)

    outcome = loretta(*train_command(workplace, ("--output", "{here}/deep/run"), tmp_path))

    assert_refused(outcome)
    assert f"no permission to write in {tmp_path}" in outcome.stderr
    assert not files_below(tmp_path)


COMMANDS = """
import dataclasses, json, os, shutil, sys
from pathlib import Path
from tests.command_line import loretta
outcomes = []
for *arguments, output in json.loads(sys.argv[1]):
    outcomes.append(dataclasses.asdict(loretta(*arguments, "--output", output)))
    if arguments[0] in ("merge", "export"):
        assert not os.listdir(Path(output).parent), "something half-written is left"
    shutil.rmtree(output, ignore_errors=True)
print(json.dumps(outcomes))
"""


def _on_mount(options: str, folder: Path, *commands: list[object]) -> list[Outcome]:
    """Run commands, whose last words are their outputs, with an own file system mounted at a folder.

    One process for all: it takes seconds to start. Skips where mounting is not allowed.
    """
    told = python_on_mount(options, folder, COMMANDS, json.dumps(commands, default=str))
    return [Outcome(**outcome) for outcome in json.loads(told)]


def test_a_read_only_output_is_refused(workplace: Workplace, tmp_path: Path) -> None:
    place = tmp_path / "mounted"

    (outcome,) = _on_mount("ro", place, [*train_command(workplace, (), tmp_path), place / "run"])

    assert_refused(outcome)
    assert f"cannot be written: no permission to write in {place}" in outcome.stderr


def test_a_full_disk_is_one_sentence(workplace: Workplace, tmp_path: Path, rep_run: FinishedRun) -> None:
    place = tmp_path / "mounted"
    commands = [
        ["merge", rep_run.path, place / "merged"],
        ["export", rep_run.path, "--format", "lora", place / "lora"],
        [*train_command(workplace, (), tmp_path), place / "run"],
    ]

    for outcome in _on_mount("size=24k", place, *commands):
        messages = [line for line in outcome.stderr.splitlines() if line.startswith("error:")]
        assert outcome.exit_code in (1, 2)
        assert len(messages) == 1, outcome.stderr
        assert "no space left" in messages[0].lower()
        assert "Traceback" not in outcome.stderr


def test_a_disk_that_fills_up_under_a_gguf_file_is_one_sentence(
    gguf_run: FinishedRun, tmp_path: Path
) -> None:
    place = tmp_path / "mounted"
    command: list[object] = ["export", gguf_run.path, "--format", "gguf", "--type", "f32", place / "gguf"]

    (outcome,) = _on_mount("size=24k", place, command)

    assert outcome.exit_code == 2
    messages = [line for line in outcome.stderr.splitlines() if line.startswith("error:")]
    assert len(messages) == 1, outcome.stderr
    assert "no space left" in messages[0].lower()


def test_overwrite_without_a_folder_is_refused() -> None:
    refused = loretta("train", "quickstart", "--overwrite")

    assert refused.exit_code == 2
    assert "--overwrite needs --output" in refused.stderr
