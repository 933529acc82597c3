"""Which reporter a command gets, and what importing the room costs."""

from __future__ import annotations

import inspect
import io
import subprocess
import sys

import pytest

from loretta_cli.errors import ConfigError
from loretta_cli.report import Reporter, SilentReporter, make_reporter
from loretta_cli.report.console import ConsoleReporter
from loretta_cli.report.document import JsonReporter
from loretta_cli.report.plain import PlainReporter


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.fixture(autouse=True)
def _ordinary_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def use_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make stderr a terminal. Called in the test itself: pytest sets stderr anew after the fixtures."""
    monkeypatch.setattr(sys, "stderr", Terminal())


def test_a_terminal_gets_the_console(monkeypatch: pytest.MonkeyPatch) -> None:
    use_a_terminal(monkeypatch)
    assert isinstance(make_reporter(json=False), ConsoleReporter)


def test_a_pipe_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert type(make_reporter(json=False)) is PlainReporter


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TERM", "dumb"),
        ("TERM", "unknown"),
        ("TTY_INTERACTIVE", "0"),
        ("TTY_COMPATIBLE", "0"),
        ("CI", "true"),
    ],
)
def test_a_terminal_that_cannot_redraw_gets_plain_lines(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    use_a_terminal(monkeypatch)
    monkeypatch.setenv(name, value)
    assert type(make_reporter(json=False)) is PlainReporter


def test_the_json_flag_wins_over_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    use_a_terminal(monkeypatch)
    assert isinstance(make_reporter(json=True), JsonReporter)


def test_the_silent_reporter_takes_every_event_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = SilentReporter()
    reporter.header("t", {"a": "b"})
    reporter.note("n")
    reporter.warn("w")
    reporter.training_started(1)
    reporter.progress(1)
    reporter.logged(1, {"loss": 1.0})
    reporter.evaluated(1, {"loss": 1.0}, split="validation", is_best=True)
    reporter.training_ended()
    reporter.table("t", ["a"], [["b"]])
    reporter.line("l")
    reporter.next_commands(["c"])
    reporter.result({"a": 1})
    reporter.failure(ConfigError("f", hint="h"))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("kind", [ConsoleReporter, PlainReporter, JsonReporter, SilentReporter])
def test_every_reporter_has_each_event_of_the_protocol_with_its_signature(kind: type) -> None:
    events = [name for name in vars(Reporter) if not name.startswith("_")]
    assert len(events) == 14
    for name in events:
        assert inspect.signature(getattr(kind, name)) == inspect.signature(getattr(Reporter, name)), name


def test_importing_the_room_loads_nothing_heavy() -> None:
    code = (
        "import sys, loretta_cli.report, loretta_cli.report.curves, loretta_cli.report.plain;"
        "print(sorted({'rich', 'matplotlib', 'numpy', 'torch', 'transformers'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
