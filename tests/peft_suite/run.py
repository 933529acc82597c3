"""Running one of PEFT's test files in a process of its own, and reading what became of its tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.command_line import child_environment
from tests.peft_suite.source import peft_tests

FILES = (
    "test_custom_models.py",
    "test_decoder_models.py",
    "test_feature_extraction_models.py",
    "test_seq_classifier.py",
)
SECONDS_TO_RUN = 900


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the tests of one method in one file.

    Args:
        passed: Number of tests.
        skipped: Number of tests.
        failed: Number of tests.
        failures: Name and traceback of each that failed.
        reasons: Reason for a skip to the number of tests.
    """

    passed: int
    skipped: int
    failed: int
    failures: tuple[str, ...]
    reasons: dict[str, int]


def run_file(name: str) -> dict[str, Outcome]:
    """Run a test file for all methods, which takes up to a minute.

    Args:
        name: One of :data:`FILES`.

    Returns:
        Method to outcome.

    Raises:
        SourceUnavailableError: If PEFT's source distribution cannot be had.
        RuntimeError: If pytest ended without a report, with its output.
    """
    tests = peft_tests()
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        models = Path(scratch) / "models"
        models.mkdir()
        options = [
            "-p",
            "tests.peft_suite.plugin",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "-W",
            "ignore",
        ]
        options += ["-c", os.devnull, "--rootdir", str(tests.parent), "--peft-report", str(report)]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "--tb=short", *options, str(tests / name)],
            capture_output=True,
            text=True,
            check=False,
            cwd=models,
            env=_environment(),
            timeout=SECONDS_TO_RUN,
        )
        if not report.is_file():
            raise RuntimeError(f"pytest ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        found = json.loads(report.read_text(encoding="utf-8"))
    if done.returncode not in (0, 1):
        raise RuntimeError(f"pytest ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return {
        method: Outcome(**{**values, "failures": tuple(values["failures"])})
        for method, values in found.items()
    }


def _environment() -> dict[str, str]:
    """Of the child: without what an outer pytest sets for its own workers."""
    return {name: value for name, value in child_environment().items() if not name.startswith("PYTEST_")}
