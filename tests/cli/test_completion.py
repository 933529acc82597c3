"""Shell completion, by the protocol that the shells' scripts speak, and in bash itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import child_environment, loretta, python
from tests.run_folders import write_finished, write_unfinished

ASK = """
import json, os, sys
os.environ["_LORETTA_COMPLETE"] = "complete_bash"
from loretta_cli.cli.app import main
import contextlib, io
told = []
for words in json.loads(sys.argv[1]):
    os.environ |= {"COMP_WORDS": "\\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    sys.argv = ["loretta"]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            main()
        except SystemExit:
            pass
    told.append(out.getvalue().split())
heavy = [name for name in ("torch", "transformers", "datasets", "peft") if name in sys.modules]
print(json.dumps([told, heavy]))
"""


def proposed(folder: Path, *lines: list[str]) -> list[list[str]]:
    """What is proposed for the last word of each line; fails if something heavy was imported for it."""
    told, heavy = json.loads(python(ASK, json.dumps([["loretta", *line] for line in lines]), cwd=folder))
    assert heavy == []
    return list(told)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs in runs/, one of a comparison, one beside them, and folders that are none."""
    folder = tmp_path_factory.mktemp("home")
    write_finished(folder / "runs" / "sst2-rep")
    write_unfinished(folder / "runs" / "boolq-adp")
    write_finished(folder / "runs" / "grid" / "cells" / "one")
    write_finished(folder / "mine")
    (folder / "data").mkdir()
    (folder / "runs" / ".hidden").mkdir()
    return folder


def test_runs_are_proposed_step_by_step(folder: Path) -> None:
    found = proposed(
        folder,
        ["predict", ""],
        ["eval", "r"],
        ["show", "mine", "runs/s"],
        ["merge", "runs/"],
        ["push", "runs/grid/cells/"],
        ["export", str(folder / "runs") + "/b"],
        ["predict", "no-such-folder/x"],
    )

    both = ["runs/boolq-adp", "runs/sst2-rep"]
    assert found == [
        [*both, "mine"],
        both,
        ["runs/sst2-rep"],
        ["runs/boolq-adp", "runs/grid/", "runs/sst2-rep"],
        ["runs/grid/cells/one"],
        [str(folder / "runs" / "boolq-adp")],
        [],
    ]


def test_names_are_proposed(folder: Path) -> None:
    found = proposed(
        folder,
        ["tra"],
        ["train", "quick"],
        ["recipes", "show", "paper/table2-boolq-a"],
        ["train", "--method", "re"],
        ["train", "--task", "squad"],
        ["compare", "--method", "adp,r"],
        ["compare", "--task", "sst2,bool"],
        ["runs", "--task", "cop"],
        ["count-params", "--preset", "l"],
        ["export", "mine", "--format", "gg"],
        ["predict", "mine", "--checkpoint", ""],
        ["predict", "mine", "--che"],
    )

    assert found == [
        ["train"],
        ["quickstart"],
        ["paper/table2-boolq-adapters", "paper/table2-boolq-adp"],
        ["rep"],
        ["squad", "squad_v2"],
        ["adp,rep"],
        ["sst2,boolq"],
        ["copa"],
        ["lean"],
        ["gguf", "gguf-lora"],
        ["best", "last"],
        ["--checkpoint"],
    ]


def as_loretta(folder: Path, **environment: str) -> dict[str, str]:
    """An environment with the command on its path, whatever is installed."""
    program = folder / "loretta"
    script = "import sys; sys.argv[0] = 'loretta'; from loretta_cli.cli.app import main; main()"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{script}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return {**child_environment(), "PATH": path, **environment}


@pytest.mark.skipif(os.name == "nt", reason="the command is a shell script here")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell_is_printed(shell: str, tmp_path: Path) -> None:
    environment = as_loretta(tmp_path, _LORETTA_COMPLETE=f"source_{shell}")

    done = subprocess.run(["loretta"], capture_output=True, text=True, env=environment, check=False)

    assert done.returncode == 0, done.stderr
    assert f"_LORETTA_COMPLETE=complete_{shell}" in done.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_with_the_script(folder: Path, tmp_path: Path) -> None:
    environment = as_loretta(tmp_path)
    source = {**environment, "_LORETTA_COMPLETE": "source_bash"}
    script = subprocess.run(["loretta"], capture_output=True, text=True, env=source, check=True).stdout
    ask = (
        "COMP_WORDS=(loretta predict runs/s); COMP_CWORD=2\n_loretta_completion loretta\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )

    done = subprocess.run(
        ["bash", "-c", script + ask],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        check=False,
    )

    assert done.stdout.split() == ["runs/sst2-rep"], done.stderr


def test_the_help_names_the_flags_that_install_it() -> None:
    shown = loretta("--help").stdout

    assert "--install-completion" in shown
    assert "--show-completion" in shown
