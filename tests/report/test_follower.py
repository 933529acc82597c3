"""The reporter of a process that does not speak says only what nobody else does."""

from __future__ import annotations

import io
import json

import pytest

from loretta_cli.errors import ConfigError
from loretta_cli.report.document import JsonReporter
from loretta_cli.report.follower import FollowerReporter


def _follower(*, may_tell: bool) -> tuple[FollowerReporter, io.StringIO, io.StringIO]:
    stdout, stderr = io.StringIO(), io.StringIO()
    loud = JsonReporter(stdout, stderr)
    return FollowerReporter(loud, may_tell=lambda: may_tell, place="Process 1 of 2"), stdout, stderr


def test_everything_but_a_failure_is_swallowed() -> None:
    reporter, stdout, stderr = _follower(may_tell=True)
    reporter.header("title", {"a": "b"})
    reporter.note("note")
    reporter.warn("warning")
    reporter.training_started(3)
    reporter.logged(1, {"loss": 1.0})
    reporter.training_ended()
    reporter.line("line")
    reporter.result({"a": 1})

    assert stdout.getvalue() == stderr.getvalue() == ""


@pytest.mark.parametrize("may_tell", [True, False])
def test_a_failure_is_told_if_nobody_else_does(may_tell: bool) -> None:
    reporter, stdout, stderr = _follower(may_tell=may_tell)
    reporter.failure(ConfigError("Wrong.", hint="Mend it."))

    if not may_tell:
        assert stdout.getvalue() == stderr.getvalue() == ""
        return
    error = json.loads(stdout.getvalue())["error"]
    assert error == {"type": "ConfigError", "message": "Process 1 of 2: Wrong.", "hint": "Mend it."}
    assert "Process 1 of 2: Wrong." in stderr.getvalue()
