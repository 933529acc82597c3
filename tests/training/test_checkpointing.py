"""A checkpoint is whole or not there; a full disk ends a run with what it had."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from loretta_cli.artifacts.checkpoints import UNFINISHED, last_complete, mark_complete
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.errors import OutputError, TrainingError
from loretta_cli.training.checkpointing import disk_explained, whole_checkpoint
from tests.command_line import files_below, loretta
from tests.mounting import python_on_mount
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
    return make_place(tmp_path_factory.mktemp("checkpointing"))


@pytest.fixture(scope="module")
def whole(place: Path) -> Path:
    return trained(Case(), place, place / "whole")


def test_a_whole_checkpoint_has_its_name(tmp_path: Path) -> None:
    with whole_checkpoint(tmp_path, "checkpoint-3") as below:
        (below / "checkpoint-3").mkdir()
        (below / "checkpoint-3" / "state").write_text("whole", encoding="utf-8")
        assert below == tmp_path / UNFINISHED
    assert files_below(tmp_path) == ["checkpoint-3", "checkpoint-3/complete.json", "checkpoint-3/state"]


def test_a_checkpoint_that_failed_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="File exists"), whole_checkpoint(tmp_path, "checkpoint-3") as below:
        [(below / "checkpoint-3").mkdir() for _ in range(2)]
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("saved", [None, 3])
def test_a_full_disk_is_told_with_what_is_left_and_how_to_go_on(saved: int | None, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "a run")
    if saved:
        checkpoint = run.checkpoints / f"checkpoint-{saved}"
        checkpoint.mkdir(parents=True)
        mark_complete(checkpoint)
    run.path.mkdir(exist_ok=True)

    with pytest.raises(TrainingError) as raised, disk_explained(run):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert "No space left on device" in raised.value.message
    assert "bytes are free" in raised.value.message
    left = "the checkpoint of step 3 is whole" if saved else "there is no checkpoint yet"
    assert left in raised.value.hint
    assert raised.value.hint.endswith(f"Go on: loretta train --output '{run.path}' --resume")


# A torch that fails in the middle of the optimizer's state, as on a full disk.
@pytest.mark.parametrize("fails", ["torch.save", "safetensors.torch.save_file"])
def test_a_disk_that_fills_up_leaves_the_checkpoint_before(
    fails: str, place: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loretta_cli.training.trainer import AdapterTrainer

    own = AdapterTrainer._save_checkpoint

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def save(trainer: AdapterTrainer, *arguments: Any) -> None:
        if trainer.state.global_step == 2 * EVERY:
            monkeypatch.setattr(
                "torch.save" if fails == "torch.save" else "peft.peft_model.safe_save_file", full
            )
        own(trainer, *arguments)

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(AdapterTrainer, "_save_checkpoint", save)
        outcome = loretta(*Case().command(place, run))
        monkeypatch.undo()

    assert outcome.exit_code == 1, outcome.stderr
    assert "No space left on device" in outcome.stderr
    assert f"the checkpoint of step {EVERY} is whole" in outcome.stderr
    assert [path.name for path in (run / "checkpoints").iterdir()] == [f"checkpoint-{EVERY}"]
    resume(run, from_step=EVERY)
    assert_same_run(run, whole)


FILLING = """
import dataclasses, json, subprocess, sys
from pathlib import Path
from loretta_cli.artifacts.checkpoints import is_complete
from tests.command_line import loretta
from tests.training.resumed_runs import assert_same_run
command, mounted, whole = json.loads(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
run = mounted / "run"
full = loretta(*command, "--output", run)
named = sorted(path.name for path in (run / "checkpoints").iterdir())
complete = all(is_complete(run / "checkpoints" / name) for name in named)
subprocess.run(["mount", "-o", "remount,size=64m", mounted], check=True)
resumed = loretta("train", "--output", run, "--resume")
if resumed.exit_code == 0:
    assert_same_run(run, whole)
outcomes = [dataclasses.asdict(outcome) for outcome in (full, resumed)]
print(json.dumps({"named": named, "complete": complete, "outcomes": outcomes}))
"""


def test_a_run_on_a_disk_that_is_really_full_goes_on_when_there_is_room(
    place: Path, whole: Path, tmp_path: Path
) -> None:
    one = sum(path.stat().st_size for path in (whole / "checkpoints" / f"checkpoint-{EVERY}").rglob("*"))
    command = Case().command(place, tmp_path)
    del command[command.index("--output") : command.index("--output") + 2]
    size = f"size={(one * 3 + 2**17) // 1024}k"

    told = json.loads(
        python_on_mount(
            size, tmp_path / "disk", FILLING, json.dumps(command), str(tmp_path / "disk"), str(whole)
        )
    )

    full, resumed = told["outcomes"]
    assert full["exit_code"] == 1, full["stderr"]
    errors = [line for line in full["stderr"].splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert "no space left" in errors[0].lower()
    assert told["named"], "the test needs a disk that holds a checkpoint"
    assert told["complete"]
    assert f"the checkpoint of step {told['named'][-1].split('-')[1]} is whole" in full["stderr"]
    assert resumed["exit_code"] == 0, resumed["stderr"]


def test_few_checkpoints_are_kept_and_the_best(place: Path, whole: Path, tmp_path: Path) -> None:
    run = trained(Case(extra=("training.keep_checkpoints=1",)), place, tmp_path / "run")

    best = report_of(run)["best_step"]
    assert best != STEPS, "the test needs a best step before the last"
    kept = {int(path.name.split("-")[1]) for path in (run / "checkpoints").iterdir()}
    assert kept == {best, STEPS}
    assert (run / "adapter" / "adapter_model.safetensors").read_bytes() == (
        whole / "adapter" / "adapter_model.safetensors"
    ).read_bytes()


def test_what_a_rollback_needs_is_kept(place: Path, tmp_path: Path) -> None:
    wild = ("training.gradient=zo", "zo.epsilon=0.001", "zo.backend=sequential")
    wild += ("training.learning_rate=3", "training.momentum=0.9", "training.warmup=0")
    every = trained(Case(extra=wild, steps=36), place, tmp_path / "every")
    few = trained(Case(extra=(*wild, "training.keep_checkpoints=1"), steps=36), place, tmp_path / "few")

    assert report_of(few)["zeroth_order"]["events"]["rollback"] > 0
    assert report_of(few) == report_of(every)
    assert last_complete(few / "checkpoints") == few / "checkpoints" / "checkpoint-36"
    for name in ("trajectory.jsonl", "adapter/adapter_model.safetensors"):
        assert (few / name).read_bytes() == (every / name).read_bytes()
