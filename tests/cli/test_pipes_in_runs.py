"""A run folder of a stranger, with named pipes where files should be: nothing waits for them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import child_environment
from tests.run_folders import write_finished


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize(
    "names",
    [
        *(("config.yaml",), ("metrics.jsonl",), ("report.json",)),
        ("environment.json", "origins.json", "fingerprints.json", "trajectory.jsonl", "throughput.jsonl"),
    ],
)
def test_a_pipe_in_a_strangers_run_does_not_hold_anything_up(tmp_path: Path, names: tuple[str, ...]) -> None:
    run = write_finished(tmp_path / "run").path
    for name in names:
        (run / name).unlink(missing_ok=True)
        os.mkfifo(run / name)
    asked = [["show", "run"], ["runs", "."]]
    for arguments in [*asked, ["predict", "run", "text"]] if "config.yaml" in names else asked:
        ended = subprocess.run(
            [sys.executable, "-m", "loretta_cli", *arguments],
            cwd=tmp_path,
            env=child_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert ended.returncode in (0, 2), ended.stderr
        assert "Traceback" not in ended.stderr
        if arguments[0] == "show":
            assert ("damaged" in ended.stdout) == (len(names) == 1), ended.stdout
