"""The file of a zeroth-order training: what goes in comes out, and what is not whole is not believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loretta_cli.errors import RunError
from loretta_cli.training.gradients.directions import GENERATOR
from loretta_cli.training.gradients.trajectory import VERSION, Header, OptimizerOptions, Record, Trajectory

HEADER = Header(
    seed=5,
    distribution="gaussian",
    estimator="central",
    generator=GENERATOR,
    parameters={"b": 3, "a": 4},
    undecayed=("b",),
    optimizer="sgd",
    optimizer_options=OptimizerOptions(weight_decay=0.01, momentum=0.9),
    eps=1e-3,
    passes=64,
    backend="sequential",
    chunk=0,
    threads=1,
    versions={"torch": "2"},
)
RECORDS = [
    Record(0, 0.1 + 0.2, (1 / 3, -2.5e-7), 1e-3, 1e-6, 1.0, 68),
    Record(1, None, (None, None), 1e-3, 1e-6, 0.0, 72, event="skip"),
    Record(2, None, (), 1e-3, 0.0, 0.0, 72, event="rollback", to=0),
    Record(3, 0.5, (None, 4.0), 1e-3, 1e-6, 0.1, 76, event="clip"),
]


@pytest.fixture
def trajectory(tmp_path: Path) -> Trajectory:
    """With all of ``RECORDS``."""
    found = Trajectory(tmp_path / "trajectory.jsonl")
    found.begin(HEADER)
    for record in RECORDS:
        found.append(record)
    return found


def test_header_and_records_come_back_bit_for_bit(trajectory: Trajectory) -> None:
    assert trajectory.read() == (HEADER, RECORDS)


def test_the_file_is_one_header_and_one_line_a_step(trajectory: Trajectory) -> None:
    lines = [json.loads(line) for line in trajectory.path.read_text(encoding="utf-8").splitlines()]

    assert list(lines[0]) == ["header"]
    assert lines[0]["header"]["version"] == VERSION
    assert [line["step"] for line in lines[1:]] == [0, 1, 2, 3]
    assert "event" not in lines[1]


@pytest.mark.parametrize("kept", [0, 1, 10, -1])
def test_a_torn_last_line_is_dropped_and_cut_off(trajectory: Trajectory, kept: int) -> None:
    content = trajectory.path.read_bytes()
    last = content.rstrip(b"\n").rfind(b"\n") + 1
    line = content[last:]
    trajectory.path.write_bytes(content[:last] + (line[:kept] if kept else b""))

    assert trajectory.read() == (HEADER, RECORDS[:3])
    trajectory.repair()
    assert trajectory.path.read_bytes() == content[:last]
    trajectory.append(RECORDS[3])
    assert trajectory.path.read_bytes() == content


@pytest.mark.parametrize(
    "line",
    [
        "{not json",
        "[]",
        "{}",
        '{"step": 1}',
        json.dumps(
            {"step": 2, "loss": 0.5, "g": [1.0], "eps": 1e-3, "lr": 0.1, "scale": 1, "forward_passes": 1}
        ),
    ],
)
def test_a_line_that_is_not_the_next_record_is_refused(trajectory: Trajectory, line: str) -> None:
    _replace(trajectory, 2, line)

    with pytest.raises(RunError, match=r"Line 3 of .* is not the record of step 1") as caught:
        trajectory.read()

    assert "changed" in caught.value.hint


@pytest.mark.parametrize(
    "change",
    [
        {"g": ["1.0"]},
        {"g": 1.0},
        {"loss": "low"},
        {"lr": None},
        {"scale": float("nan")},
        {"event": "jump"},
        {"event": "rollback"},
        {"event": "rollback", "to": 9},
        {"event": "rollback", "to": -1},
        {"to": 0},
        {"more": 1},
    ],
)
def test_a_value_that_makes_no_sense_is_refused(trajectory: Trajectory, change: dict[str, Any]) -> None:
    line = trajectory.path.read_text(encoding="utf-8").splitlines()[1]
    _replace(trajectory, 1, json.dumps({**json.loads(line), **change}))

    with pytest.raises(RunError, match=r"Line 2 of .* is not the record of step 0"):
        trajectory.read()


def _replace(trajectory: Trajectory, number: int, line: str) -> None:
    lines = trajectory.path.read_text(encoding="utf-8").splitlines()
    lines[number] = line
    trajectory.path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_missing_line_is_noticed(trajectory: Trajectory) -> None:
    lines = trajectory.path.read_text(encoding="utf-8").splitlines()
    trajectory.path.write_text("\n".join(lines[:2] + lines[3:]) + "\n", encoding="utf-8")

    with pytest.raises(RunError, match="is not the record of step 1"):
        trajectory.read()


def test_another_version_is_refused(trajectory: Trajectory) -> None:
    values = json.loads(trajectory.path.read_text(encoding="utf-8").splitlines()[0])
    values["header"]["version"] = VERSION + 1
    _replace(trajectory, 0, json.dumps(values))

    with pytest.raises(RunError, match=f"has version {VERSION + 1}; this version of loretta reads {VERSION}"):
        trajectory.read()


def test_directions_of_another_generator_are_refused(trajectory: Trajectory) -> None:
    values = json.loads(trajectory.path.read_text(encoding="utf-8").splitlines()[0])
    values["header"]["generator"] = "numpy.random.Philox"
    _replace(trajectory, 0, json.dumps(values))

    with pytest.raises(RunError, match=rf"drawn by 'numpy.random.Philox'; .* by '{GENERATOR}'") as caught:
        trajectory.read()

    assert "trained the run" in caught.value.hint


@pytest.mark.parametrize("first", ["", "{}", '{"header": {}}', '{"header": 5}', "\x00\x01"])
def test_a_file_without_a_header_is_refused(trajectory: Trajectory, first: str) -> None:
    _replace(trajectory, 0, first)

    with pytest.raises(RunError, match="does not begin with a header"):
        trajectory.read()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", None),
        ("distribution", "cauchy"),
        ("estimator", "three-sided"),
        ("backend", "fast"),
        ("parameters", {"w": "many"}),
        ("eps", "small"),
    ],
)
def test_a_header_with_a_wrong_value_is_refused_by_name(
    trajectory: Trajectory, key: str, value: object
) -> None:
    first, *rest = trajectory.path.read_text().splitlines(keepends=True)
    values = json.loads(first)
    values["header"][key] = value
    trajectory.path.write_text(json.dumps(values) + "\n" + "".join(rest))

    with pytest.raises(RunError, match=f"does not begin with a header: {key}"):
        trajectory.read()


@pytest.mark.parametrize("content", [b"", b'{"header": {"seed"'])
def test_a_file_with_no_whole_line_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "trajectory.jsonl").write_bytes(content)

    with pytest.raises(RunError, match="does not begin with a header"):
        Trajectory(tmp_path / "trajectory.jsonl").read()


def test_no_file_is_told_from_a_broken_one(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="There is no trajectory") as caught:
        Trajectory(tmp_path / "trajectory.jsonl").read()

    assert "training.gradient=zo" in caught.value.hint


def test_a_new_header_replaces_an_old_file(trajectory: Trajectory) -> None:
    trajectory.begin(HEADER)

    assert trajectory.read() == (HEADER, [])
