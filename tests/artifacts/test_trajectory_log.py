"""What there is to look at in a trajectory."""

from __future__ import annotations

from pathlib import Path

import pytest

from loretta_cli.artifacts.trajectory_log import read_estimates
from tests.run_folders import write_trajectory, write_unfinished


def test_queries_sizes_and_events_of_each_step_are_read(tmp_path: Path) -> None:
    run = write_unfinished(tmp_path / "run")
    write_trajectory(run, steps=6)

    found = read_estimates(run.trajectory)

    assert found.steps == [1, 2, 3, 4, 5, 6]
    assert found.queries == [1, 1, 1, 2, 2, 0]
    assert found.sizes == [0.5, 0.5, 0.5, 1.0, 1.0, None]
    assert found.events == [(2, "clip"), (6, "rollback")]
    assert (found.forward_passes, found.eps) == (12, 0.001)
    assert found.counts() == {"skip": 0, "clip": 1, "rollback": 1}


def test_a_torn_last_line_of_a_run_that_goes_on_is_left_out(tmp_path: Path) -> None:
    run = write_unfinished(tmp_path / "run")
    write_trajectory(run, steps=3)
    run.trajectory.write_bytes(run.trajectory.read_bytes()[:-10])

    assert read_estimates(run.trajectory).steps == [1, 2]


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"[]", b"[" * 100_000, b'{"step": "x", "g": []}', b'{"step": 1, "g": 3}'),
        *(b'{"step": -1, "g": []}', b'{"step": 1' + b"0" * 400 + b', "g": []}'),
    ],
)
def test_lines_that_are_no_records_are_left_out(tmp_path: Path, line: bytes) -> None:
    file = tmp_path / "trajectory.jsonl"
    file.write_bytes(line + b'\n{"step": 0, "g": [NaN, 1' + b"0" * 400 + b", -2.0]}\n")

    found = read_estimates(file)

    assert (list(found.steps), list(found.sizes)) == ([1], [2.0])


def test_a_run_by_exact_gradients_has_none(tmp_path: Path) -> None:
    found = read_estimates(tmp_path / "trajectory.jsonl")

    assert not found
    assert found.forward_passes == 0
