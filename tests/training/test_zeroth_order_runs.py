"""Zeroth-order runs: killed and resumed, or replayed, they give the same bytes."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loretta_cli.training.gradients.trajectory import Trajectory
from tests.command_line import child_environment, loretta, metric_records
from tests.zeroth_order_runs import WEIGHTS, ZoRun, make_place

LONG = ZoRun(steps=200, every=50)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_place(tmp_path_factory.mktemp("zeroth-order"))


@pytest.fixture(scope="module")
def plain(place: Path) -> Path:
    """200 steps."""
    return whole(LONG, place, place / "plain")


def whole(run: ZoRun, place: Path, output: Path) -> Path:
    outcome = loretta(*run.command(place, output))
    assert outcome.exit_code == 0, outcome.stderr
    return output


def cut_off(run: ZoRun, place: Path, output: Path, monkeypatch: pytest.MonkeyPatch, *, after: int) -> Path:
    """Stop a run between the record of a step and the step itself."""
    append = Trajectory.append

    def stopped(self: Trajectory, record: object) -> None:
        append(self, record)  # type: ignore[arg-type]
        if getattr(record, "step", 0) + 1 == after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trajectory, "append", stopped)
        outcome = loretta(*run.command(place, output))
    assert outcome.exit_code == 130, outcome.stderr
    return output


def resume(run: Path) -> str:
    outcome = loretta("train", "--output", run, "--resume")
    assert outcome.exit_code == 0, outcome.stderr
    return outcome.stderr


def assert_same_run(one: Path, other: Path, kind: ZoRun) -> None:
    """Every byte of adapters and trajectory, and every number of the metrics."""
    names = ["trajectory.jsonl", f"start/{WEIGHTS}", f"adapter/{WEIGHTS}", f"best/{WEIGHTS}"]
    names += [f"checkpoints/checkpoint-{step}/{WEIGHTS}" for step in saved_by(kind)]
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert metric_records(one) == metric_records(other)


def assert_replayed(run: Path, kind: ZoRun) -> None:
    """The finished adapter, the start, and every checkpoint."""
    cases = [((), run / "adapter")]
    cases += [(("--to", "0"), run / "start")]
    for step in saved_by(kind):
        best = loretta_report(run)["best_step"] == step
        cases.append((("--to", str(step)), run / ("adapter" if best else f"checkpoints/checkpoint-{step}")))
    for number, (flags, expected) in enumerate(cases):
        output = run.parent / f"{run.name}-replayed-{number}"
        outcome = loretta("replay", run, *flags, "--output", output, "--json")
        assert outcome.exit_code == 0, outcome.stderr
        assert (output / "adapter" / WEIGHTS).read_bytes() == (expected / WEIGHTS).read_bytes(), flags
        assert outcome.document["verified"] is True
        shutil.rmtree(output)


def saved_by(kind: ZoRun) -> range:
    """The steps after which there is a checkpoint."""
    return range(kind.every, kind.steps + 1, kind.every)


def loretta_report(run: Path) -> dict[str, object]:
    import json

    report: dict[str, object] = json.loads((run / "report.json").read_text(encoding="utf-8"))
    return report


KINDS = {
    "rep, sgd": ZoRun(),
    "rep, momentum and weight decay": ZoRun(("training.momentum=0.9", "training.weight_decay=0.1")),
    "adp, adamw": ZoRun(("training.optimizer=adamw", "training.weight_decay=0.1"), method="adp"),
    "rep, adafactor and cosine": ZoRun(("training.optimizer=adafactor", "training.scheduler=cosine")),
    "adp, rmsprop, constant": ZoRun(
        ("training.optimizer=rmsprop", "training.scheduler=constant", "training.warmup=0"), method="adp"
    ),
    "rep, adazeta's schedule": ZoRun(("zo.schedule=adazeta", "zo.alpha=1.5")),
    "rep, one-sided, normalised, signs": ZoRun(
        ("zo.estimator=one-sided", "zo.queries=3", "zo.normalize=true", "zo.directions=rademacher")
    ),
    "adp, second moment and clip": ZoRun(
        ("zo.second_moment=0.99", "zo.clip=3", "training.learning_rate=0.0001"), method="adp"
    ),
    "rep, two batches a step": ZoRun(("training.gradient_accumulation=2",)),
    "rep, prompts": ZoRun(model="decoder"),
    "adp, prompts, momentum": ZoRun(("training.momentum=0.5",), method="adp", model="decoder"),
    "rep, rollbacks": ZoRun(("training.learning_rate=3", "training.momentum=0.9", "training.warmup=0")),
    "adp, rollbacks of adamw": ZoRun(
        ("training.optimizer=adamw", "training.learning_rate=30", "training.warmup=0"), method="adp"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_cut_off_and_resumed_or_replayed_a_run_has_the_same_bytes(
    kind: ZoRun, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = whole(kind, place, tmp_path / "whole")
    if any("learning_rate=3" in one for one in kind.settings):
        zeroth_order = loretta_report(expected)["zeroth_order"]
        assert isinstance(zeroth_order, dict)
        assert zeroth_order["events"]["rollback"] > 0, "the case is about rollbacks"
    run = cut_off(kind, place, tmp_path / "cut", monkeypatch, after=33)

    said = resume(run)

    assert "resuming after step 20" in said
    assert_same_run(run, expected, kind)
    assert_replayed(run, kind)


@pytest.mark.slow
@pytest.mark.parametrize("share", [1.0, 0.5], ids=["behind the record", "within the record"])
def test_a_killed_process_resumes_to_the_same_bytes(
    share: float, place: Path, plain: Path, tmp_path: Path
) -> None:
    run = tmp_path / "killed"
    script = [sys.executable, "-m", "tests.zeroth_order_runs", "120", str(share)]
    done = subprocess.run(
        [*script, *LONG.command(place, run)], env=child_environment(), capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len((run / "trajectory.jsonl").read_bytes().splitlines()) == 1 + 120

    resume(run)

    assert_same_run(run, plain, LONG)
    assert_replayed(run, LONG)


def test_a_resumed_run_repeats_no_forward_pass(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = ZoRun(("zo.queries=2",), steps=12, every=5)
    run = cut_off(kind, place, tmp_path / "cut", monkeypatch, after=9)
    from loretta_cli.training.gradients.zeroth_order import ZerothOrder

    asked: list[int] = []
    evaluate = ZerothOrder._evaluate

    def watched(self: ZerothOrder, step: object, *arguments: object) -> None:
        asked.append(step.number)  # type: ignore[attr-defined]
        evaluate(self, step, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ZerothOrder, "_evaluate", watched)
    said = resume(run)

    assert "resuming after step 5" in said
    assert asked == [9, 10, 11]


def test_a_run_cut_off_before_its_first_checkpoint_takes_its_steps_from_the_trajectory(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = ZoRun(steps=10, every=5)
    expected = whole(kind, place, tmp_path / "whole")
    run = cut_off(kind, place, tmp_path / "cut", monkeypatch, after=4)

    said = resume(run)

    assert "starting anew" in said
    for name in ("trajectory.jsonl", f"adapter/{WEIGHTS}", f"checkpoints/checkpoint-10/{WEIGHTS}"):
        assert (run / name).read_bytes() == (expected / name).read_bytes(), name
