"""Training that was cut off and resumed gives what uninterrupted training gives, bit for bit.

Every run here has dropout, so that the state of the random generators matters.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import child_environment, loretta, metric_records
from tests.training.resumed_runs import (
    EVERY,
    STEPS,
    Case,
    assert_same_run,
    make_place,
    report_of,
    resume,
    trained,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_place(tmp_path_factory.mktemp("resume"))


@pytest.fixture(scope="module")
def uninterrupted(place: Path) -> Path:
    """The run of :class:`Case`'s defaults, from start to end."""
    return trained(Case(), place, place / "uninterrupted")


def _cut_off(case: Case, place: Path, output: Path, monkeypatch: pytest.MonkeyPatch, *, after: int) -> Path:
    """Start a run and interrupt it in the first step behind step ``after``."""
    from loretta_cli.training.trainer import AdapterTrainer

    step = AdapterTrainer.training_step

    def interrupted(trainer: AdapterTrainer, *arguments: Any, **options: Any) -> Any:
        if trainer.state.global_step >= after:
            raise KeyboardInterrupt
        return step(trainer, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(AdapterTrainer, "training_step", interrupted)
        outcome = loretta(*case.command(place, output))
    assert outcome.exit_code == 130, outcome.stderr
    assert not (output / "report.json").exists()
    return output


CASES = {
    "rep": Case(),
    "adp": Case(method="adp"),
    "rep, three labels of the user's own": Case(custom=True),
    "rep, prompt": Case(model="decoder"),
    # Its adapters before gate and up must come back on that side.
    "adp, prompt": Case(method="adp", model="decoder"),
    "adp, placed in the mlp": Case(method="adp", extra=("adapter.placement=mlp",)),
    "adp, two batches a step": Case(method="adp", extra=("training.gradient_accumulation=2",)),
    "rep, cosine and adafactor": Case(extra=("training.scheduler=cosine", "training.optimizer=adafactor")),
    "adp, gradient checkpointing": Case(method="adp", extra=("training.gradient_checkpointing=true",)),
}


@pytest.fixture(scope="module")
def whole_run(place: Path) -> Callable[[str], Path]:
    """The run of a case from start to end; no test may change it."""

    @cache
    def run(name: str) -> Path:
        return trained(CASES[name], place, place / f"whole {name}")

    return run


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("after", [7, 10], ids=["cut at an epoch's end", "cut inside the second epoch"])
def test_a_resumed_run_equals_an_uninterrupted_one(
    name: str,
    after: int,
    place: Path,
    whole_run: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = _cut_off(CASES[name], place, tmp_path / "cut", monkeypatch, after=after)

    resume(run, from_step=after - after % EVERY)

    assert_same_run(run, whole_run(name))


def test_runs_of_whole_epochs_resume_too(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(extra=("training.max_steps=null", "training.evaluate_every=null", "training.epochs=3"))
    whole = trained(case, place, tmp_path / "whole")
    run = _cut_off(case, place, tmp_path / "cut", monkeypatch, after=10)

    resume(run, from_step=7)

    assert_same_run(run, whole)
    assert [record["step"] for record in metric_records(run) if record["split"] == "validation"] == [
        7,
        14,
        21,
    ]


def test_a_run_may_be_cut_off_twice(
    place: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loretta_cli.training.callbacks import ReportCallback

    run = _cut_off(Case(), place, tmp_path / "cut", monkeypatch, after=4)
    with monkeypatch.context() as patch:
        patch.setattr(ReportCallback, "on_evaluate", _interrupt)
        assert loretta("train", "--output", run, "--resume").exit_code == 130

    resume(run, from_step=3)

    assert_same_run(run, uninterrupted)


def test_a_run_that_stopped_early_is_only_finished(place: Path, tmp_path: Path) -> None:
    case = Case(extra=("training.early_stopping=2", "training.learning_rate=1e-12"), steps=60)
    whole = trained(case, place, tmp_path / "whole")
    run = Path(shutil.copytree(whole, tmp_path / "cut"))
    (run / "report.json").unlink()

    resume(run, from_step=3 * EVERY)

    assert_same_run(run, whole)


def _interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_a_run_cut_off_before_its_first_checkpoint_starts_anew(
    place: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _cut_off(Case(), place, tmp_path / "cut", monkeypatch, after=2)

    resume(run, from_step=None)

    assert_same_run(run, uninterrupted)


def test_a_run_cut_off_behind_its_last_step_is_only_finished(uninterrupted: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(uninterrupted, tmp_path / "cut"))
    (run / "report.json").unlink()
    shutil.rmtree(run / "adapter")

    resume(run, from_step=STEPS)

    assert_same_run(run, uninterrupted)


def test_a_run_that_was_moved_ends_with_its_best_adapter(uninterrupted: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(uninterrupted, tmp_path / "moved"))
    (moved / "report.json").unlink()
    state_file = moved / "checkpoints" / f"checkpoint-{STEPS}" / "trainer_state.json"
    state = json.loads(state_file.read_text(encoding="utf-8"))
    best = Path(state["best_model_checkpoint"]).name
    assert best != f"checkpoint-{STEPS}", "the test needs a best step before the last"
    state["best_model_checkpoint"] = str(tmp_path / "gone" / best)
    state_file.write_text(json.dumps(state), encoding="utf-8")
    _mark_again(state_file.parent)

    resume(moved, from_step=STEPS)

    assert_same_run(moved, uninterrupted)


def _mark_again(checkpoint: Path) -> None:
    from loretta_cli.artifacts.checkpoints import mark_complete

    mark_complete(checkpoint)


@pytest.mark.parametrize("damage", ["marker", "truncated", "changed", "gone"])
def test_a_torn_checkpoint_is_skipped(damage: str, uninterrupted: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(uninterrupted, tmp_path / "cut"))
    (run / "report.json").unlink()
    torn = run / "checkpoints" / f"checkpoint-{STEPS}"
    victim = torn / "optimizer.pt"
    content = victim.read_bytes()
    if damage == "marker":
        (torn / "complete.json").unlink()
    elif damage == "truncated":
        victim.write_bytes(content[: len(content) // 2])
    elif damage == "changed":
        victim.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    else:
        victim.unlink()

    resume(run, from_step=STEPS - EVERY)

    assert_same_run(run, uninterrupted)


def test_with_all_checkpoints_torn_a_run_starts_anew(uninterrupted: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(uninterrupted, tmp_path / "cut"))
    (run / "report.json").unlink()
    for marker in run.glob("checkpoints/*/complete.json"):
        marker.unlink()

    resume(run, from_step=None)

    assert_same_run(run, uninterrupted)


def test_no_step_is_logged_twice_after_a_resume(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _cut_off(Case(), place, tmp_path / "cut", monkeypatch, after=11)
    assert max(record["step"] for record in metric_records(run)) > 9, "lines behind the checkpoint are there"
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 11, "spl')  # what a crash leaves of a line

    resume(run, from_step=9)

    keys = [(record["step"], record["split"]) for record in metric_records(run)]
    assert len(keys) == len(set(keys))
    assert keys == sorted(keys, key=lambda key: key[0])


def test_early_stopping_counts_on_after_a_resume(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A step too small to change a prediction: no evaluation is better than the first.
    case = Case(extra=("training.early_stopping=3", "training.learning_rate=1e-12"), steps=60)
    whole = trained(case, place, tmp_path / "whole")
    assert report_of(whole)["steps"] == 4 * EVERY, "one best, then three that are not better"
    run = _cut_off(case, place, tmp_path / "cut", monkeypatch, after=3 * EVERY + 1)

    resume(run, from_step=3 * EVERY)

    assert_same_run(run, whole)


def test_a_killed_process_can_be_resumed(place: Path, tmp_path: Path) -> None:
    case = Case(steps=160, extra=("training.evaluate_every=20",))
    run = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "loretta_cli", *case.command(place, run)],
        env=child_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(run / "checkpoints" / "checkpoint-20" / "complete.json", process)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not (run / "report.json").exists(), "the run must not have ended before it was killed"

    outcome = loretta("train", "--output", run, "--resume")
    whole = trained(case, place, tmp_path / "whole")

    assert outcome.exit_code == 0, outcome.stderr
    assert "resuming after step" in outcome.stderr
    assert_same_run(run, whole)


def _wait_for(file: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not file.exists():
        assert process.poll() is None, "the run ended too early"
        assert time.monotonic() < deadline, f"no {file}"
        time.sleep(0.01)
