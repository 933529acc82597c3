"""The short version of the script that kills training and resumes it; the long one is run by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import REPOSITORY, child_environment
from tests.kill_and_resume import differences, torn
from tests.zeroth_order_runs import WEIGHTS


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_runs_that_were_killed_end_as_one_that_was_not() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.kill_and_resume", "--kills", "3"],
        cwd=REPOSITORY,
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()[1:]
    assert [line.split(",")[0] for line in lines] == ["backprop: 3 kills", "zo: 3 kills"]
    assert all(line.endswith(" 0 faults") for line in lines)


@pytest.fixture
def two_runs(tmp_path: Path) -> tuple[Path, Path]:
    """Run folders that are alike, as far as the script looks."""
    from loretta_cli.artifacts.checkpoints import mark_complete

    for name in ("one", "other"):
        for folder in ("adapter", "best", "checkpoints/checkpoint-5"):
            (tmp_path / name / folder).mkdir(parents=True)
            (tmp_path / name / folder / WEIGHTS).write_bytes(b"weights")
        (tmp_path / name / "metrics.jsonl").write_text('{"step": 1, "loss": 0.5}\n', encoding="utf-8")
        report = {"steps": 5, "seconds": len(name)}
        (tmp_path / name / "report.json").write_text(json.dumps(report), encoding="utf-8")
        mark_complete(tmp_path / name / "checkpoints" / "checkpoint-5")
    return tmp_path / "one", tmp_path / "other"


def test_like_runs_have_no_differences(two_runs: tuple[Path, Path]) -> None:
    assert differences(*two_runs) == []
    assert torn(two_runs[0]) == []


@pytest.mark.parametrize("name", [f"best/{WEIGHTS}", f"checkpoints/checkpoint-5/{WEIGHTS}"])
def test_one_other_byte_is_seen(name: str, two_runs: tuple[Path, Path]) -> None:
    (two_runs[0] / name).write_bytes(b"Weights")

    assert differences(*two_runs) == [name]
    assert torn(two_runs[0]) == (["checkpoint-5"] if "checkpoint" in name else [])


def test_other_metrics_and_reports_are_seen(two_runs: tuple[Path, Path]) -> None:
    (two_runs[0] / "metrics.jsonl").write_text('{"step": 1, "loss": 0.25}\n', encoding="utf-8")
    (two_runs[0] / "report.json").write_text('{"steps": 6}', encoding="utf-8")

    assert differences(*two_runs) == ["metrics.jsonl", "report.json"]
