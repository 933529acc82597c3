"""A process with an environment of its own that runs commands of ``loretta`` one after another.

The hub's library looks once, when it is imported, for where the hub is and whether it may be asked: a test
cannot change that in its own process, and a process for every command would take seconds each.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import AbstractContextManager
from typing import IO

from tests.command_line import REPOSITORY, Outcome, child_environment

_CHILD = """
import dataclasses, gc, json, os, sys, time
from unittest import mock
from tests.command_line import loretta
from tests.rendering import curves_rendered_once
time.sleep = lambda seconds: None
with curves_rendered_once():
    for line in sys.stdin:
        arguments, variables = json.loads(line)
        with mock.patch.dict(os.environ, variables):
            outcome = loretta(*arguments)
        print(json.dumps(dataclasses.asdict(outcome)), flush=True)
        gc.freeze()
"""
"""Never sleeps: without the hub, the library would try five times and wait ever longer between.

What a command leaves is not searched for garbage again, as in the tests' own process.
"""


class Session(AbstractContextManager["Session"]):
    """A running process, as a context manager.

    Args:
        environment: Variables beside those that every child process of a test has.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env=child_environment() | environment,
        )

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        with self._process:  # closes the pipes
            pass

    def loretta(self, *arguments: object, **variables: str) -> Outcome:
        """Run a command.

        Args:
            arguments: Of the command line; paths are written out.
            variables: Of the environment, for this command; not those of which the library takes note once.
        """
        stdin, stdout = _pipe(self._process.stdin), _pipe(self._process.stdout)
        print(json.dumps([[str(argument) for argument in arguments], variables]), file=stdin, flush=True)
        line = stdout.readline()
        assert line, "the process ended; its last words are on stderr"
        return Outcome(**json.loads(line))


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe
