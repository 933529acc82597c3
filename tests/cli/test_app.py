"""The entry point: help, version, wrong usage, and ``--json`` for all of it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from loretta_cli import __version__
from tests.command_line import child_environment, loretta

VERBS = (
    *("train", "compare", "check-gradient", "eval", "predict", "runs", "show"),
    *("merge", "export", "push", "compress", "replay", "count-params", "settings", "env"),
)


def test_without_a_command_the_help_is_shown() -> None:
    outcome = loretta()

    assert outcome.exit_code == 0
    assert "loretta train quickstart" in outcome.stdout
    assert outcome.stderr == ""


def test_the_help_lists_every_verb() -> None:
    outcome = loretta("--help")

    assert outcome.exit_code == 0
    for verb in VERBS:
        assert verb in outcome.stdout


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_each_verb_has_help_with_an_example(verb: str, flag: str) -> None:
    outcome = loretta(verb, flag)

    assert outcome.exit_code == 0
    assert "--json" in outcome.stdout
    assert f"loretta {verb}" in outcome.stdout
    assert outcome.stderr == ""


def test_the_version_is_printed() -> None:
    outcome = loretta("--version")

    assert (outcome.exit_code, outcome.stdout) == (0, f"loretta {__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--no-such-option"),
        ("no-such-command",),
        ("--no-such-option",),
        ("train", "--seed", "x"),
        ("train", "--seed"),
        ("merge",),
        ("compress", "somewhere"),
        ("train", "a", "b"),
        ("eval", "--rows", "0", "x"),
    ],
)
def test_wrong_usage_exits_2_and_is_a_document_with_json(arguments: tuple[str, ...]) -> None:
    plain = loretta(*arguments)
    document = loretta(*arguments, "--json")

    assert plain.exit_code == document.exit_code == 2
    assert plain.stdout == ""
    assert "Error" in plain.stderr
    assert "Traceback" not in plain.stderr
    error = document.document["error"]
    assert set(error) == {"type", "message", "hint"}
    assert error["type"] == "ConfigError"
    assert error["message"]
    assert document.document["schema_version"] == 1
    assert "Traceback" not in document.stderr


def test_a_bug_is_a_document_too_and_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    from loretta_cli import config

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(config, "load_config", broken)

    with pytest.raises(ZeroDivisionError):
        loretta("count-params", "--model", "llama-2-7b", "--json")


def test_python_dash_m_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loretta_cli", "--version"],
        capture_output=True,
        text=True,
        env=child_environment(),
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, f"loretta {__version__}\n")


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "loretta_cli", "--help"],
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            env=child_environment(),
            check=False,
        )
    finally:
        os.close(write)

    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [("recipes",), ("settings", "--json"), ("--version",)])
def test_a_full_disk_under_the_results_is_a_sentence(arguments: tuple[str, ...]) -> None:
    with FULL.open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "loretta_cli", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=child_environment(),
            check=False,
        )
    assert ended.returncode == 1
    first, second = ended.stderr.splitlines()
    assert first == "error: Cannot write: No space left on device."
    assert second.startswith("hint: ")


@pytest.mark.skipif(os.name != "posix", reason="descriptors are closed by a shell")
@pytest.mark.parametrize("arguments", ["recipes", "settings --json", "show nowhere"])
def test_closed_descriptors_are_no_traceback(arguments: str) -> None:
    command = f"{shlex.quote(sys.executable)} -m loretta_cli {arguments} >&-"
    environment = child_environment()
    ended = subprocess.run(
        ["sh", "-c", command], stderr=subprocess.PIPE, text=True, env=environment, check=False
    )
    assert ended.returncode == (2 if "nowhere" in arguments else 0)
    assert "Traceback" not in ended.stderr
    silent = subprocess.run(["sh", "-c", f"{command} 2>&-"], env=environment, check=False)
    assert silent.returncode == ended.returncode
