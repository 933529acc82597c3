"""What every refused command has in common."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cli.conftest import FEW_STEPS, Workplace
from tests.command_line import Outcome


def train_command(workplace: Workplace, arguments: tuple[str, ...], here: Path) -> list[object]:
    """A correct train command with the mistake put in: a flag that it has replaces the correct one."""
    filled = [argument.replace("{here}", str(here)) for argument in arguments]
    command: list[object] = ["train", *FEW_STEPS]
    for flag, value in (("--model", workplace.encoder), ("--task", "sst2"), ("--data", workplace.sentences)):
        if flag not in filled:
            command += [flag, value]
    return [*command, *filled]


def assert_refused(outcome: Outcome) -> None:
    assert outcome.exit_code in (1, 2), outcome
    assert outcome.stdout == ""
    assert "Traceback" not in outcome.stderr
    assert not re.search(r"\w(Error|Exception)\b", outcome.stderr), "an exception's name"
    messages = [line for line in outcome.stderr.splitlines() if line.startswith("error:")]
    usage = "Usage: " in outcome.stderr
    assert len(messages) == (0 if usage else 1), outcome.stderr
