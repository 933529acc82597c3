"""Memory that is refused in a run: what was being done, the cheapest flags, and the last checkpoint."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import loretta_cli.training.out_of_memory as out_of_memory
import loretta_cli.training.run as training_run
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.errors import TrainingError
from loretta_cli.report import SilentReporter
from loretta_cli.training.gradients.backprop import Backprop
from loretta_cli.training.gradients.zeroth_order import ZerothOrder
from loretta_cli.training.out_of_memory import Activity, memory_explained
from loretta_cli.training.run import train
from loretta_cli.training.trainer import AdapterTrainer
from tests.command_line import child_environment, loretta
from tests.training.trainers import config_of, make_place, run_of
from tests.training.watched_runs import ZO, flags_in, taken

SETTINGS = ("training.max_steps=8", "training.evaluate_every=4", "training.batch_size=8")
ON_GPU = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 15.77 GiB"
ON_CPU = (
    "[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried to allocate "
)
LIMIT_MIB = 45
"""Above what is in use before the training: too little for its 256 rows at once, enough for half of them."""

LIMITED = """
import gc, resource, sys
from pathlib import Path
import loretta_cli.training.run as run
from loretta_cli.errors import TrainingError
from loretta_cli.report import SilentReporter
from tests.training.trainers import config_of

place, mebibytes, *settings = sys.argv[1:]
warm = ("training.max_steps=1", "training.batch_size=4")
run.train(config_of(Path(place), *settings, *warm), Path("warm"), SilentReporter())  # imports all there is
gc.collect()
fit = run._fit

def limited(*arguments):
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + int(mebibytes) * 2**20,) * 2)
    return fit(*arguments)

run._fit = limited
try:
    run.train(config_of(Path(place), *settings), Path("run"), SilentReporter())
except TrainingError as error:
    print(error.message, error.hint, sep="\\n")
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_place(tmp_path_factory.mktemp("out_of_memory"))


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have a function raise an error in one of its calls: (owner, name, error, number from 1)."""

    def prepare(owner: Any, name: str, error: Exception, call: int = 1) -> None:
        own, calls = getattr(owner, name), []

        def function(*arguments: Any, **options: Any) -> Any:
            calls.append(name)
            if len(calls) == call:
                raise error
            return own(*arguments, **options)

        monkeypatch.setattr(owner, name, function)

    return prepare


def failure(place: Path, folder: Path, *settings: str, method: str = "rep") -> TrainingError:
    with pytest.raises(TrainingError) as caught:
        run_of(place, folder, *SETTINGS, *settings, method=method)
    assert caught.value.exit_code == 1
    return caught.value


def remedies_in(error: TrainingError) -> list[str]:
    return flags_in(
        error.hint.partition("Cheapest first: ")[2].partition(" There is ")[0].partition(" The c")[0]
    )


def test_a_gpu_that_is_full_names_the_step_the_rows_and_three_flags(
    place: Path, tmp_path: Path, refuse: Any
) -> None:
    refuse(Backprop, "accumulate", torch.OutOfMemoryError(ON_GPU))
    error = failure(place, tmp_path / "run")

    assert error.message.startswith("Out of memory in training step 1: the GPU has no room for 2.0 GiB more")
    assert "(8 rows at once, the longest of " in error.message
    found = remedies_in(error)
    assert found[:2] == [
        "--set training.batch_size=4 --set training.gradient_accumulation=2",
        "--set training.gradient_checkpointing=true",
    ]
    assert len(found) == 3
    assert "There is no checkpoint yet" in error.hint
    assert "--overwrite" in error.hint


@pytest.mark.parametrize("remedy", [0, 1, 2])
def test_every_remedy_is_taken_and_trains(remedy: int, place: Path, tmp_path: Path, refuse: Any) -> None:
    refuse(Backprop, "accumulate", RuntimeError(f"{ON_CPU}67108864 bytes. Error code 12"))
    error = failure(place, tmp_path / "run")
    assert "the machine has no room for 64 MiB more" in error.message
    flags = remedies_in(error)[remedy]

    changed = taken(config_of(place, *SETTINGS), flags)
    report = train(changed, tmp_path / "run", SilentReporter(), overwrite=True)

    assert report.steps == 8


def test_what_is_free_says_how_small_a_batch_has_to_be_and_what_is_not_enough(
    place: Path, tmp_path: Path, refuse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(Backprop, "accumulate", MemoryError())
    monkeypatch.setattr(out_of_memory, "_room", lambda: 2**17)
    error = failure(place, tmp_path / "run", "training.batch_size=16")

    first, *others = re.findall(r"\(\d\) (.*?\))", error.hint)
    size = int(re.search(r"batch_size=(\d+)", first)[1])
    assert size < 8
    assert f"gradient_accumulation={16 // size} " in first
    assert "not enough alone" not in first
    assert [one for one in others if one.endswith("not enough alone)")]


def test_what_is_set_already_is_not_proposed(place: Path, tmp_path: Path, refuse: Any) -> None:
    refuse(Backprop, "accumulate", MemoryError())
    settings = ("training.batch_size=1", "training.gradient_checkpointing=true", "model.dtype=bfloat16")
    error = failure(place, tmp_path / "run", *settings)

    assert "the machine has no more memory (1 row at once" in error.message
    for name in ("batch_size", "gradient_checkpointing", "model.dtype", "--gradient zo"):
        assert not [flags for flags in remedies_in(error) if name in flags]


def test_an_evaluation_that_is_too_large_asks_for_fewer_rows_and_is_resumed_with_them(
    place: Path, tmp_path: Path, refuse: Any
) -> None:
    refuse(training_run, "evaluate", RuntimeError(f"{ON_CPU}8 bytes."), call=2)
    run = RunFolder(tmp_path / "run")
    error = failure(place, run.path, "training.evaluation_batch_size=6")

    assert "Out of memory in the evaluation after step 8" in error.message
    assert "(6 rows at once" in error.message
    assert remedies_in(error)[0] == "--set training.evaluation_batch_size=2"
    assert "The checkpoint of step 4 is whole" in error.hint
    assert f"set training.evaluation_batch_size to 2 in {run.config_file}" in error.hint

    _go_on_with(run, error, evaluation_batch_size=2)


def test_a_run_goes_on_with_a_smaller_batch(place: Path, tmp_path: Path, refuse: Any) -> None:
    refuse(Backprop, "accumulate", torch.OutOfMemoryError(ON_GPU), call=6)
    run = RunFolder(tmp_path / "run")
    error = failure(place, run.path)

    assert "in training step 6" in error.message
    assert "The checkpoint of step 4 is whole" in error.hint
    assert "set training.batch_size to 4 and training.gradient_accumulation to 2 in" in error.hint

    _go_on_with(run, error, batch_size=4, gradient_accumulation=2)


def _go_on_with(run: RunFolder, error: TrainingError, **training: object) -> None:
    """Do what a hint says: edit the settings, give the command."""
    config = yaml.safe_load(run.config_file.read_text(encoding="utf-8"))
    config["training"] |= training
    run.config_file.write_text(yaml.safe_dump(config), encoding="utf-8")
    outcome = loretta(*shlex.split(error.hint.partition("then: loretta ")[2]))

    assert outcome.exit_code == 0, outcome.stderr
    assert "resuming after step 4" in outcome.stderr
    assert run.read_report()["steps"] == 8


def test_saving_that_is_refused_leaves_the_checkpoint_before(
    place: Path, tmp_path: Path, refuse: Any
) -> None:
    refuse(AdapterTrainer, "_save", MemoryError(), call=2)
    error = failure(place, tmp_path / "run")

    assert "Out of memory while saving the checkpoint of step 8" in error.message
    assert "The checkpoint of step 4 is whole" in error.hint
    assert [one.name for one in (tmp_path / "run" / "checkpoints").iterdir()] == ["checkpoint-4"]


def test_a_zeroth_order_run_first_takes_one_forward_pass_after_the_other(
    place: Path, tmp_path: Path, refuse: Any
) -> None:
    refuse(ZerothOrder, "accumulate", torch.OutOfMemoryError(ON_GPU))
    settings = (*ZO[:2], "zo.backend=batched", "zo.queries=8", "training.batch_size=16")
    error = failure(place, tmp_path / "run", *settings)

    found = remedies_in(error)
    assert found[0] == "--set zo.backend=sequential"
    assert not [flags for flags in found if "gradient_checkpointing" in flags or "--gradient" in flags]
    for flags in found:
        taken(config_of(place, *SETTINGS, *settings), flags)


def test_other_errors_pass(tmp_path: Path) -> None:
    def need(activity: Activity) -> Any:
        raise AssertionError("nobody asks")

    with (
        pytest.raises(ValueError, match="no memory at all"),
        memory_explained(Activity(), need, RunFolder(tmp_path)),
    ):
        raise ValueError("no memory at all")


@pytest.mark.skipif(sys.platform != "linux", reason="a limit of the address space is Linux's")
def test_an_allocation_that_a_limit_refuses_is_told_and_the_first_remedy_fits(
    place: Path, tmp_path: Path
) -> None:
    place = Path(shutil.copytree(place, tmp_path / "place"))
    long = " ".join(["the film was great and very fun"] * 12)
    rows = [{"sentence": f"{long} {number}", "label": number % 2} for number in range(256)]
    (place / "sentences" / "train.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    settings = ("training.max_steps=2", "training.batch_size=256")

    message, hint = _limited(place, tmp_path / "whole", *settings).splitlines()

    assert message.startswith("Out of memory in training step 1: the machine has no ")
    assert "(256 rows at once, the longest of 89 tokens)" in message
    first = flags_in(hint)[0]
    assert first == "--set training.batch_size=128 --set training.gradient_accumulation=2"
    assert _limited(place, tmp_path / "halves", *settings, *first.replace("--set ", "").split()) == ""
    assert RunFolder(tmp_path / "halves" / "run").finished


def _limited(place: Path, folder: Path, *settings: str) -> str:
    """What a training under a limit of memory says; nothing if it ends well."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(place), str(LIMIT_MIB), *settings],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
        timeout=300,
        env=child_environment(),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
