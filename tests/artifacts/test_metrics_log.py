"""The log of a run's numbers: appending, torn lines, trimming, CSV."""

from __future__ import annotations

import csv
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from loretta_cli.artifacts.metrics_log import MetricsLog
from loretta_cli.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def log(tmp_path: Path) -> MetricsLog:
    return MetricsLog(tmp_path / "metrics.jsonl")


def steps(log: MetricsLog) -> list[object]:
    """The steps in the log."""
    return [record["step"] for record in log.read()]


def test_each_record_is_one_json_line_on_disk_at_once(log: MetricsLog) -> None:
    log.append(10, "train", {"loss": 0.5, "learning_rate": 0.001})
    assert log.path.read_text() == '{"step": 10, "split": "train", "loss": 0.5, "learning_rate": 0.001}\n'
    log.append(20, "validation", {"accuracy": 0.75})
    assert log.read() == [
        {"step": 10, "split": "train", "loss": 0.5, "learning_rate": 0.001},
        {"step": 20, "split": "validation", "accuracy": 0.75},
    ]


def test_numbers_that_json_lacks_are_null(log: MetricsLog) -> None:
    log.append(1, "train", {"loss": math.nan, "grad_norm": math.inf, "numpy": np.float64("-inf")})
    assert "NaN" not in log.path.read_text()
    assert log.read() == [{"step": 1, "split": "train", "loss": None, "grad_norm": None, "numpy": None}]


def test_numpy_numbers_are_numbers(log: MetricsLog) -> None:
    values: dict[str, Any] = {"count": np.int64(7), "loss": np.float32(0.5)}
    log.append(int(np.int64(3)), "train", values)
    assert log.read() == [{"step": 3, "split": "train", "count": 7, "loss": 0.5}]


def test_values_cannot_replace_step_and_split(log: MetricsLog) -> None:
    log.append(3, "train", {"step": 99, "split": 1.0, "loss": 0.5})
    assert log.read() == [{"step": 3, "split": "train", "loss": 0.5}]


def test_a_log_without_file_is_empty(log: MetricsLog) -> None:
    assert log.read() == []
    log.truncate_after(5)
    assert not log.path.exists()


@pytest.mark.parametrize(
    "torn", [b'{"step": 30, "spl', b'{"step": 30, "split": "\xe5\x90', b"\x00\x00\x00", b"{}\n"]
)
def test_a_torn_last_line_is_ignored_and_the_next_record_does_not_grow_on_it(
    log: MetricsLog, torn: bytes
) -> None:
    log.append(10, "train", {"loss": 0.5})
    with log.path.open("ab") as file:
        file.write(torn)
    assert steps(log) == [10]
    MetricsLog(log.path).append(20, "train", {"loss": 0.4})
    assert steps(log) == [10, 20]
    assert len(log.path.read_bytes().splitlines()) == 2


def test_a_last_line_that_lacks_only_its_end_is_kept(log: MetricsLog) -> None:
    log.path.write_text('{"step": 10, "split": "train"}')
    log.append(20, "train", {})
    assert steps(log) == [10, 20]


def test_a_broken_line_in_the_middle_is_an_error_that_names_it(log: MetricsLog) -> None:
    log.path.write_text('{"step": 1, "split": "train"}\nbroken\n{"step": 2, "split": "train"}\n')
    with pytest.raises(RunError, match=r"Line 2 of .*metrics\.jsonl") as caught:
        log.read()
    assert "Remove the line" in caught.value.hint


def test_truncating_drops_later_steps_and_appending_goes_on(log: MetricsLog) -> None:
    for step in (10, 20, 30):
        log.append(step, "train", {"loss": 1 / step})
        log.append(step, "validation", {"accuracy": 0.5})
    log.truncate_after(20)
    assert steps(log) == [10, 10, 20, 20]
    log.append(21, "train", {"loss": 0.1})
    assert steps(log) == [10, 10, 20, 20, 21]
    assert list(log.path.parent.iterdir()) == [log.path]


def test_truncating_that_fails_leaves_the_log_whole(log: MetricsLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise OSError("disk full")

    log.append(10, "train", {"loss": 0.5})
    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        log.truncate_after(0)
    assert steps(log) == [10]
    assert list(log.path.parent.iterdir()) == [log.path]


def test_truncating_keeps_numbers_exactly(log: MetricsLog) -> None:
    log.append(1, "train", {"loss": 0.1 + 0.2, "tiny": 1e-300})
    before = log.path.read_bytes()
    log.truncate_after(1)
    assert log.path.read_bytes() == before


def test_the_csv_has_the_union_of_the_columns_with_empty_cells(log: MetricsLog, tmp_path: Path) -> None:
    log.append(10, "train", {"loss": 0.5, "learning_rate": 0.001})
    log.append(10, "validation", {"accuracy": 0.75, "loss": math.nan})
    path = tmp_path / "metrics.csv"
    log.write_csv(path)
    assert path.read_text() == (
        "step,split,loss,learning_rate,accuracy\n10,train,0.5,0.001,\n10,validation,,,0.75\n"
    )


def test_the_csv_of_an_empty_log_has_its_heads(log: MetricsLog, tmp_path: Path) -> None:
    log.write_csv(tmp_path / "metrics.csv")
    with (tmp_path / "metrics.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["step", "split"]]


def test_every_line_is_an_object_for_any_json_reader(log: MetricsLog) -> None:
    log.append(1, "train", {"名": 0.5})
    assert json.loads(log.path.read_bytes())["名"] == 0.5
