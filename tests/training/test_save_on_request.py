"""A file asks for a checkpoint, from which a resume is exact; the training goes on as it would have."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from loretta_cli.artifacts.checkpoints import is_complete
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.training.save_on_request import request_files
from tests.command_line import loretta
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
    "zeroth order": Case(extra=(*ZO, "training.learning_rate=0.001")),
    "rollbacks": Case(
        extra=(*ZO, "training.learning_rate=3", "training.momentum=0.9", "training.warmup=0"), steps=24
    ),
    # The first would go to a checkpoint of step 3, if that were one of the training's own.
    "late rollbacks": Case(
        extra=(
            *(*ZO, "training.learning_rate=0.3", "training.momentum=0.9", "training.warmup=0.5"),
            "training.evaluate_every=20",
        ),
        steps=30,
    ),
    "two batches a step": Case(method="adp", extra=("training.gradient_accumulation=2",)),
    "evaluated by epochs": Case(extra=EPOCHS),
    "early stopping": Case(extra=("training.early_stopping=2", "training.learning_rate=1e-12"), steps=60),
    "two checkpoints are kept": Case(extra=("training.keep_checkpoints=2",)),
}
QUICK = (("backprop", 5), ("zeroth order", 5), ("late rollbacks", 3), ("evaluated by epochs", 7))
# Step 3 is evaluated, 7 ends an epoch, 8 begins one.
MOMENTS = [
    pytest.param(name, step, marks=() if (name, step) in QUICK else pytest.mark.slow)
    for name in CASES
    for step in (1, 3, 5, 7, 8)
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_place(tmp_path_factory.mktemp("save"))


@pytest.fixture(scope="module")
def whole(place: Path) -> Callable[[str], Path]:
    """The run of a case that nobody asks anything; no test may change it."""

    @cache
    def run(name: str) -> Path:
        return trained(CASES[name], place, place / f"whole {name}")

    return run


@pytest.fixture
def touched(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Touch a file within a step, or within several (numbers from 1)."""

    def prepare(file: Path, *steps: int) -> None:
        from loretta_cli.training.trainer import AdapterTrainer

        own = AdapterTrainer.training_step

        def training_step(trainer: AdapterTrainer, *arguments: Any, **options: Any) -> Any:
            if trainer.state.global_step + 1 in steps:
                file.touch()
            return own(trainer, *arguments, **options)

        monkeypatch.setattr(AdapterTrainer, "training_step", training_step)

    return prepare


def checkpoint(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"checkpoint-{step}"


def assert_same_training(one: Path, other: Path) -> None:
    """All that training made; the lines of the training loss have another rhythm around the save."""
    for name in (f"adapter/{WEIGHTS}", f"best/{WEIGHTS}"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    ours, theirs = last_checkpoint(one), last_checkpoint(other)
    assert ours.name == theirs.name
    for file in (WEIGHTS, "optimizer.pt", "scheduler.pt"):
        assert (ours / file).read_bytes() == (theirs / file).read_bytes(), file
    assert validation_records(one) == validation_records(other)
    assert report_of(one) == report_of(other)


def cut_after(run: Path, step: int) -> None:
    """Leave what a crash behind a step leaves."""
    for path in (run / "checkpoints").iterdir():
        if int(path.name.removeprefix("checkpoint-")) > step:
            shutil.rmtree(path)
    for name in ("adapter", "report.json"):
        path = run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize(("name", "step"), MOMENTS)
def test_a_checkpoint_that_is_asked_for_changes_nothing_and_can_be_resumed(
    name: str, step: int, place: Path, whole: Callable[[str], Path], tmp_path: Path, touched: Any
) -> None:
    run = tmp_path / "run"
    touched(run / "save", step)

    outcome = loretta(*CASES[name].command(place, run))

    assert outcome.exit_code == 0, outcome.stderr
    assert not (run / "save").exists()
    assert outcome.stderr.count(f"saved, as the file {run / 'save'} asks: {checkpoint(run, step)}") == 1
    assert_same_training(run, whole(name))
    if "rollbacks" in name:
        assert report_of(run)["zeroth_order"]["events"]["rollback"] > 0
    if not checkpoint(run, step).exists():
        assert name == "two checkpoints are kept"
        return
    assert is_complete(checkpoint(run, step))
    cut_after(run, step)
    resume(run, from_step=step)
    assert_same_training(run, whole(name))


def test_each_touch_asks_once(
    place: Path, whole: Callable[[str], Path], tmp_path: Path, touched: Any
) -> None:
    run = tmp_path / "run"
    touched(run / "save", 1, 2, 5)

    outcome = loretta(*CASES["backprop"].command(place, run))

    steps = sorted(int(path.name.removeprefix("checkpoint-")) for path in (run / "checkpoints").iterdir())
    assert steps == sorted({1, 2, 5, *range(EVERY, STEPS + 1, EVERY)})
    assert outcome.stderr.count("saved, as the file") == 3
    assert_same_training(run, whole("backprop"))


def test_a_request_in_the_last_step_leaves_no_file(
    place: Path, whole: Callable[[str], Path], tmp_path: Path, touched: Any
) -> None:
    run = tmp_path / "run"
    touched(run / "save", STEPS)

    assert loretta(*CASES["backprop"].command(place, run)).exit_code == 0

    assert not (run / "save").exists()
    assert_same_training(run, whole("backprop"))


def test_a_folder_of_that_name_asks_for_nothing_and_stays(place: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "save").mkdir(parents=True)
    (run / "config.yaml").write_text("training: {seed: 1}\n", encoding="utf-8")
    outcome = loretta(*CASES["backprop"].command(place, run), "--overwrite")

    assert outcome.exit_code == 0, outcome.stderr
    assert (run / "save").is_dir()
    assert "saved, as" not in outcome.stderr


def test_a_file_that_cannot_be_removed_is_told_of_once(
    place: Path, tmp_path: Path, touched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    unlink = Path.unlink

    def refuse(path: Path, **options: Any) -> None:
        if path.name == "save":
            raise PermissionError(13, "Permission denied")
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", refuse)
    touched(run / "save", 2)

    outcome = loretta(*CASES["backprop"].command(place, run))

    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stderr.count("cannot be removed, so it asks no more: Permission denied") == 1
    assert outcome.stderr.count("saved, as the file") == 1


def test_a_stage_looks_in_the_folder_of_the_whole_run_too(tmp_path: Path) -> None:
    whole = RunFolder(tmp_path / "run")
    stage = RunFolder(tmp_path / "run" / "stages" / "1-sst2")

    assert request_files(whole) == (tmp_path / "run" / "save",)
    assert set(request_files(stage)) == {stage.path / "save", tmp_path / "run" / "save"}
