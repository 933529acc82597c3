"""A signal ends a run behind the step in flight, with a checkpoint from which it goes on exactly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from loretta_cli.artifacts.checkpoints import is_complete
from loretta_cli.report import SilentReporter
from loretta_cli.training.interruption import SIGNALS, signals_finish_the_step
from tests.command_line import child_environment, loretta
from tests.training.resumed_runs import (
    EVERY,
    STEPS,
    Case,
    last_checkpoint,
    make_place,
    report_of,
    resume,
    trained,
    validation_records,
)

WEIGHTS = "adapter_model.safetensors"
ZO = ("training.gradient=zo", "zo.epsilon=0.001", "zo.backend=sequential")
EPOCHS = ("training.max_steps=null", "training.evaluate_every=null", "training.epochs=3")
CASES = {
    "backprop": Case(),
    "two batches a step": Case(method="adp", extra=("training.gradient_accumulation=2",)),
    "zeroth order": Case(extra=(*ZO, "training.learning_rate=0.001")),
    "rollbacks": Case(
        extra=(*ZO, "training.learning_rate=3", "training.momentum=0.9", "training.warmup=0"), steps=24
    ),
    "evaluated by epochs": Case(extra=EPOCHS),
    "early stopping": Case(extra=("training.early_stopping=2", "training.learning_rate=1e-12"), steps=60),
    "two checkpoints are kept": Case(extra=("training.keep_checkpoints=2",)),
}


QUICK = (("backprop", 5), ("zeroth order", 7))


@pytest.fixture(autouse=True)
def _signals_are_not_ignored() -> Iterator[None]:
    """What is started in the background, or with nohup, is to ignore signals, and so are its children."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in SIGNALS if number != signal.SIGINT}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_place(tmp_path_factory.mktemp("interruption"))


@pytest.fixture(scope="module")
def whole(place: Path) -> Callable[[str], Path]:
    """The run of a case from start to end; no test may change it."""

    @cache
    def run(name: str) -> Path:
        return trained(CASES[name], place, place / f"whole {name}")

    return run


@pytest.fixture
def signalled(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Send this process a signal within a step, once: (number of the step, from 1; signal; times)."""

    def prepare(step: int, number: int = signal.SIGINT, times: int = 1) -> None:
        from loretta_cli.training.trainer import AdapterTrainer

        own, sent = AdapterTrainer.training_step, []

        def training_step(trainer: AdapterTrainer, *arguments: Any, **options: Any) -> Any:
            if trainer.state.global_step == step - 1 and not sent:
                sent.append(step)
                for _ in range(times):
                    os.kill(os.getpid(), number)
            return own(trainer, *arguments, **options)

        monkeypatch.setattr(AdapterTrainer, "training_step", training_step)

    return prepare


def assert_same_training(one: Path, other: Path) -> None:
    """All that training made; the lines of the training loss have another rhythm around the stop."""
    for name in (f"adapter/{WEIGHTS}", f"best/{WEIGHTS}"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    ours, theirs = last_checkpoint(one), last_checkpoint(other)
    assert ours.name == theirs.name
    for file in (WEIGHTS, "scheduler.pt"):
        assert (ours / file).read_bytes() == (theirs / file).read_bytes(), file
    assert validation_records(one) == validation_records(other)
    assert report_of(one) == report_of(other)


# Step 3 is evaluated, 7 ends an epoch, 8 begins one.
MOMENTS = [
    pytest.param(name, step, marks=() if (name, step) in QUICK else pytest.mark.slow)
    for name in CASES
    for step in (1, 3, 5, 7, 8)
]


@pytest.mark.parametrize(("name", "step"), MOMENTS)
def test_an_interrupted_run_goes_on_exactly(
    name: str, step: int, place: Path, whole: Callable[[str], Path], tmp_path: Path, signalled: Any
) -> None:
    signalled(step)
    run = tmp_path / "run"

    outcome = loretta(*CASES[name].command(place, run))

    assert outcome.exit_code == 130, outcome.stderr
    assert f"Interrupted after step {step} of " in outcome.stderr
    assert f"loretta train --output {run} --resume" in outcome.stderr
    assert "once more stops at once" in outcome.stderr
    assert is_complete(run / "checkpoints" / f"checkpoint-{step}")
    assert not (run / "report.json").exists()
    resume(run, from_step=step)
    assert_same_training(run, whole(name))
    if name == "rollbacks":
        assert report_of(run)["zeroth_order"]["events"]["rollback"] > 0


@pytest.mark.slow
def test_a_run_may_be_interrupted_at_every_step(
    place: Path, whole: Callable[[str], Path], tmp_path: Path, signalled: Any
) -> None:
    signalled(1)
    run = tmp_path / "run"
    assert loretta(*CASES["backprop"].command(place, run)).exit_code == 130

    for step in range(2, STEPS):
        signalled(step)
        assert loretta("train", "--output", run, "--resume").exit_code == 130, step

    resume(run, from_step=STEPS - 1)
    assert_same_training(run, whole("backprop"))


def test_a_signal_in_the_last_step_leaves_only_the_end_to_do(
    place: Path, whole: Callable[[str], Path], tmp_path: Path, signalled: Any
) -> None:
    signalled(STEPS)
    run = tmp_path / "run"

    assert loretta(*CASES["backprop"].command(place, run)).exit_code == 130

    resume(run, from_step=STEPS)
    assert_same_training(run, whole("backprop"))


def test_a_second_signal_stops_at_once(
    place: Path, whole: Callable[[str], Path], tmp_path: Path, signalled: Any
) -> None:
    signalled(5, times=2)
    run = tmp_path / "run"

    outcome = loretta(*CASES["backprop"].command(place, run))

    assert outcome.exit_code == 130
    assert last_checkpoint(run).name == f"checkpoint-{EVERY}"
    assert f"loretta train --output {run} --resume" in outcome.stderr
    resume(run, from_step=EVERY)
    assert_same_training(run, whole("backprop"))


@pytest.mark.parametrize("number", SIGNALS)
def test_every_signal_that_asks_to_stop_is_heard(number: int) -> None:
    before = signal.getsignal(number)

    with signals_finish_the_step(SilentReporter()) as interruption:
        assert not interruption.asked
        os.kill(os.getpid(), number)
        assert interruption.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)

    assert signal.getsignal(number) is before


def test_two_kinds_of_signals_are_one_request() -> None:
    with signals_finish_the_step(SilentReporter()) as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
    assert interruption.seen == {signal.SIGINT, signal.SIGTERM}


@pytest.fixture
def hang_up_is_ignored() -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hang_up_is_ignored")
def test_what_nohup_ignores_stays_ignored() -> None:
    with signals_finish_the_step(SilentReporter()) as interruption:
        os.kill(os.getpid(), signal.SIGHUP)
    assert not interruption.asked


def test_in_another_thread_nothing_changes() -> None:
    handlers: list[Any] = []

    def work() -> None:
        with signals_finish_the_step(SilentReporter()):
            handlers.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [before]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_process_that_is_told_to_stop_saves_and_ends(number: int, place: Path, tmp_path: Path) -> None:
    case, run = Case(steps=400, extra=("training.evaluate_every=200",)), tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "loretta_cli", *case.command(place, run)],
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _wait_for_steps(run / "metrics.jsonl", process)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()

    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert is_complete(last_checkpoint(run))
    step = int(last_checkpoint(run).name.removeprefix("checkpoint-"))
    assert f"Interrupted after step {step} of 400" in stderr
    assert [path.name for path in (run / "checkpoints").iterdir()] == [last_checkpoint(run).name]


def _wait_for_steps(file: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not (file.exists() and file.read_text(encoding="utf-8").count("\n") > 2):
        assert process.poll() is None, "the run ended too early"
        assert time.monotonic() < deadline, f"no {file}"
        time.sleep(0.01)


def test_a_signal_before_the_training_leaves_nothing(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import loretta_cli.training.run as module

    def terminated(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(module, "encode_rows", terminated)

    outcome = loretta(*Case().command(place, tmp_path / "run"))

    assert outcome.exit_code == 130
    assert "Interrupted." in outcome.stderr
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_that_was_asked_for_is_not_one_of_the_best(
    place: Path, tmp_path: Path, signalled: Any
) -> None:
    signalled(EVERY + 1)
    run = tmp_path / "run"
    assert loretta(*Case().command(place, run)).exit_code == 130

    resume(run, from_step=EVERY + 1)

    assert report_of(run)["best_step"] % EVERY == 0
