"""What a training does in a second, against counts and clocks of the test's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerControl, TrainerState

from loretta_cli.artifacts.metrics_log import MetricsLog
from loretta_cli.training import throughput as module
from loretta_cli.training.sampling import WEIGHT
from loretta_cli.training.throughput import Throughput, median_tokens_per_second
from tests.training.trainers import ROWS, make_place, run_of


class Estimator:
    """An estimator of which only the counts matter."""

    shares_rows = True

    def __init__(self, passes: int | None) -> None:
        self.passes = passes

    def summary(self) -> dict[str, Any] | None:
        return None if self.passes is None else {"forward_passes": self.passes, "queries": 3}


class Bench:
    """A throughput whose clock and events the test plays."""

    def __init__(self, log: Path | None = None, passes: int | None = None) -> None:
        self.now = 50.0
        self.estimator = Estimator(passes)
        found: Any = self.estimator
        self.throughput = Throughput(lambda: found, MetricsLog(log) if log else None, lambda: self.now)
        self.event("on_train_begin")

    def event(self, name: str, seconds: float = 0.0) -> None:
        """Let something end after some seconds."""
        self.now += seconds
        args: Any = None
        getattr(self.throughput, name)(args, TrainerState(), TrainerControl())

    def step(self, seconds: float, tokens: list[int], passes: int = 0) -> None:
        """Take a step of rows with so many tokens each, padded."""
        self.event("on_step_begin")
        mask = torch.zeros(len(tokens), max(tokens), dtype=torch.long)
        for row, count in enumerate(tokens):
            mask[row, :count] = 1
        self.throughput.add({WEIGHT: torch.ones(len(tokens)), "attention_mask": mask})
        if self.estimator.passes is not None:
            self.estimator.passes += passes
        self.event("on_step_end", seconds)


def test_tokens_without_padding_and_rows_are_counted_by_the_second() -> None:
    bench = Bench()
    bench.step(2.0, [3, 5])
    bench.step(3.0, [10, 2, 1])

    pace = bench.throughput.measured(2)

    assert pace is not None
    assert pace.seconds == 5
    assert pace.tokens_per_second == pytest.approx(21 / 5)
    assert pace.rows_per_second == pytest.approx(1)
    assert pace.forward_passes_per_second is None
    assert pace.memory_bytes > 0


def test_evaluations_and_checkpoints_take_no_time_of_the_training() -> None:
    bench = Bench()
    bench.step(1.0, [4])
    bench.event("on_evaluate", 100.0)
    bench.event("on_save", 20.0)
    bench.step(1.0, [4])

    pace = bench.throughput.measured(2)

    assert pace is not None
    assert pace.seconds == 2


def test_what_happens_before_the_first_step_takes_no_time() -> None:
    bench = Bench()
    bench.now += 300
    bench.step(1.0, [4])

    pace = bench.throughput.measured(1)

    assert pace is not None
    assert pace.seconds == 1


def test_each_interval_counts_its_own() -> None:
    bench = Bench()
    bench.step(1.0, [4])
    bench.throughput.measured(1)
    bench.step(2.0, [4])

    pace = bench.throughput.measured(2)

    assert pace is not None
    assert (pace.seconds, pace.tokens_per_second) == (2, 2)


def test_forward_passes_are_those_of_the_interval() -> None:
    bench = Bench(passes=100)
    bench.step(4.0, [4], passes=8)

    pace = bench.throughput.measured(1)

    assert pace is not None
    assert (pace.forward_passes_per_second, pace.queries) == (2, 3)


def test_steps_that_are_taken_again_from_a_trajectory_have_no_pace(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "throughput.jsonl", passes=100)
    bench.step(0.001, [4], passes=0)

    assert bench.throughput.measured(1) is None
    assert not (tmp_path / "throughput.jsonl").exists()


def test_rows_without_a_mask_have_no_tokens() -> None:
    bench = Bench()
    bench.event("on_step_begin")
    bench.throughput.add({WEIGHT: torch.ones(3)})
    bench.event("on_step_end", 1.0)

    pace = bench.throughput.measured(1)

    assert pace is not None
    assert (pace.tokens_per_second, pace.rows_per_second) == (None, 3)


def test_of_several_processes_the_rows_of_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    from loretta_cli.processes import Processes

    monkeypatch.setattr(module, "processes", lambda: Processes(0, 0, 4))
    bench = Bench()
    bench.step(1.0, [4, 4])

    pace = bench.throughput.measured(1)

    assert pace is not None
    assert (pace.tokens_per_second, pace.rows_per_second) == (32, 8)


def test_the_median_is_that_of_the_intervals_that_were_measured(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "throughput.jsonl")
    assert median_tokens_per_second(log) is None
    for step, rate in enumerate((1.0, 300.0, 20.0), 1):
        log.append(step, "train", {"tokens_per_second": rate})
    log.append(4, "train", {"rows_per_second": 5.0})

    assert median_tokens_per_second(log) == 20


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_place(tmp_path_factory.mktemp("throughput"))


@pytest.mark.parametrize("gradient", ["backprop", "zo"])
def test_a_run_keeps_the_throughput_of_every_log_interval(
    gradient: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []
    own = Throughput.add

    def add(self: Throughput, batch: Any) -> None:
        seen.append(batch)
        own(self, batch)

    monkeypatch.setattr(Throughput, "add", add)
    run = run_of(
        place,
        tmp_path / "run",
        *(f"training.{setting}" for setting in ("max_steps=8", "log_every=4", "batch_size=4", "epochs=2")),
        *("training.evaluate_every=4", f"training.gradient={gradient}"),
        *(("zo.epsilon=0.001",) if gradient == "zo" else ()),
    )

    text = run.throughput_file.read_text(encoding="utf-8")
    records = [json.loads(line) for line in text.splitlines()]
    assert [record["step"] for record in records] == [1, 4, 8]
    for record, batches in zip(records, (seen[:1], seen[1:4], seen[4:]), strict=True):
        rows = record["rows_per_second"] * record["seconds"]
        assert rows == pytest.approx(4 * len(batches), rel=0.01)
        tokens = sum(int(batch["attention_mask"].sum()) for batch in batches)
        assert record["tokens_per_second"] * record["seconds"] == pytest.approx(tokens, rel=0.01)
        assert record["memory_bytes"] > 2**20
        assert ("forward_passes_per_second" in record) == (gradient == "zo")
    assert ROWS % 4 == 0, "every batch is full"
    found = run.read_report()["tokens_per_second"]
    assert found == pytest.approx(sorted(record["tokens_per_second"] for record in records)[1], rel=0.01)
    assert not {"seconds", "tokens_per_second"} & set(run.metrics_file.read_text(encoding="utf-8").split('"'))
