"""Two processes that torchrun starts give what one gives; they write one run folder and speak once.

The processes are dear to start, so two launches do the work of all tests here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.command_line import child_environment, files_below, loretta, metric_records, write_sentences

STEPS, TOLERANCE = 50, 1e-5
# Rows for which the last batch of an epoch leaves the second process nothing, and an odd validation.
ROWS, BATCH, VALIDATION = 25, 4, 9
SCRIPT = Path(__file__).with_name("two_processes.py")


@dataclass(frozen=True, slots=True)
class Launch:
    """What the processes of one torchrun left.

    Args:
        exit_code: Of torchrun.
        stderr: Of all processes, but for what their commands wrote.
        ranks: Of each process its outcomes (exit code, stdout, stderr) and models.
    """

    exit_code: int
    stderr: str
    ranks: list[dict[str, Any]]


def launch(folder: Path, *commands: list[str]) -> Launch:
    """Have two processes run some commands, one after another."""
    folder.mkdir()
    (folder / "plan.json").write_text(json.dumps(commands), encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"),
            *(str(SCRIPT), str(folder / "plan.json"), str(folder)),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=child_environment(),
        timeout=600,
    )
    files = [folder / f"rank{rank}.json" for rank in range(2)]
    assert all(file.is_file() for file in files), done.stderr
    return Launch(
        done.returncode, done.stderr, [json.loads(file.read_text(encoding="utf-8")) for file in files]
    )


def _train(place: Path, output: Path, model: str, *settings: str) -> list[str]:
    common = (
        f"training.batch_size={BATCH}",
        "training.log_every=1",
        "training.learning_rate=0.01",
        *settings,
    )
    return [
        *("train", "--model", str(place / model), "--method", "adp", "--task", "sst2", "--json"),
        *("--data", str(place / "sentences"), "--output", str(output)),
        *("--set", "data.protocol=paper"),
        *(part for setting in common for part in ("--set", setting)),
    ]


def _long(place: Path, output: Path, *settings: str) -> list[str]:
    """50 steps of a model without dropout, so that the number of processes makes no difference."""
    rhythm = (f"training.max_steps={STEPS}", "training.evaluate_every=10")
    return _train(place, output, "decoder", *rhythm, *settings)


def _short(place: Path, output: Path) -> list[str]:
    """12 steps with dropout, so that the state of each process's generators makes one."""
    rhythm = ("training.max_steps=12", "training.evaluate_every=3")
    return _train(place, output, "encoder", *rhythm, "adapter.dropout=0.3")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny_folders import save_tiny_decoder, save_tiny_encoder

    folder = tmp_path_factory.mktemp("distributed")
    save_tiny_encoder(folder / "encoder")
    save_tiny_decoder(folder / "decoder")
    write_sentences(folder / "sentences", train=ROWS, validation=VALIDATION)
    return folder


@pytest.fixture(scope="module")
def one(place: Path) -> Path:
    """The run of one process."""
    outcome = loretta(*_long(place, place / "one"))
    assert outcome.exit_code == 0, outcome.stderr
    return place / "one"


@pytest.fixture(scope="module")
def first(place: Path) -> Launch:
    """``two``, ``parts``, an evaluation, ``whole``, ``stopped`` and resumed, ``saved``, ``cut`` by a kill."""
    commands = [
        _long(place, place / "two"),
        _long(place, place / "parts", "training.shard_base=true"),
        ["eval", str(place / "two"), "--split", "train", "--json"],
        _short(place, place / "whole"),
        ["stop@7", *_short(place, place / "stopped")],
        ["train", "--output", str(place / "stopped"), "--resume", "--json"],
        ["save@4", *_short(place, place / "saved")],
        ["die@7", *_short(place, place / "cut")],
    ]
    done = launch(place / "first", *commands)
    for rank in done.ranks:
        # Of the last, one process is killed; what the launcher then does to the other has no set order.
        assert [code for code, _, _ in rank["outcomes"]][:7] == [0, 0, 0, 0, 130, 0, 0], done.stderr
    return done


@pytest.fixture(scope="module")
def second(place: Path, first: Launch) -> Launch:
    """``cut`` resumed, and a run in which the second process alone fails."""
    resume = ["train", "--output", str(place / "cut"), "--resume", "--json"]
    return launch(place / "second", resume, ["fail@2", *_short(place, place / "failed")])


def _assert_same_numbers(run: Path, other: Path, *, records: int = STEPS + STEPS // 10) -> None:
    pairs = list(zip(metric_records(run), metric_records(other), strict=True))
    assert len(pairs) == records
    for record, expected in pairs:
        assert {**record, "grad_norm": None} == pytest.approx({**expected, "grad_norm": None}, abs=TOLERANCE)
    adapters = [load_file(folder / "adapter" / "adapter_model.safetensors") for folder in (run, other)]
    assert adapters[0].keys() == adapters[1].keys()
    assert all((adapters[0][name] - adapters[1][name]).abs().max() < TOLERANCE for name in adapters[0])


def test_two_processes_give_the_losses_and_the_adapter_of_one(place: Path, one: Path, first: Launch) -> None:
    _assert_same_numbers(place / "two", one)


def test_with_the_base_divided_the_numbers_are_the_same(place: Path, one: Path, first: Launch) -> None:
    _assert_same_numbers(place / "parts", one)


def test_a_process_holds_about_half_of_a_divided_base_and_all_of_another(first: Launch) -> None:
    for rank in first.ranks:
        whole, divided, *_ = rank["models"]
        assert whole["held"] == whole["whole"]
        assert 0.4 < divided["held"] / divided["whole"] < 0.6


def test_every_process_ends_with_the_same_adapter_bit_for_bit(first: Launch) -> None:
    ours, theirs = ([model["trained"] for model in rank["models"]] for rank in first.ranks)

    assert len(ours) == 6, "four runs, one that stopped, and its rest"
    assert ours == theirs


def test_two_processes_write_one_run_folder(place: Path, one: Path, first: Launch) -> None:
    expected = {name for name in files_below(one) if not name.endswith("rng_state.pth")}
    for run in ("two", "parts"):
        states = {name for name in files_below(place / run) if "rng_state" in name}
        assert {Path(name).name for name in states} == {"rng_state_0.pth", "rng_state_1.pth"}
        assert set(files_below(place / run)) - states == expected
    environment = json.loads((place / "two" / "environment.json").read_text(encoding="utf-8"))
    assert environment["processes"] == 2


def test_only_the_first_process_speaks(first: Launch) -> None:
    spoken, silent = (rank["outcomes"] for rank in first.ranks)

    assert all(not stdout and not stderr for _, stdout, stderr in silent)
    for _, stdout, _ in spoken:
        assert json.loads(stdout)["schema_version"] == 1
    assert spoken[0][2].count("step=50 loss=") == 1
    assert "2 on each of 2 processes" in spoken[0][2]


def test_processes_share_an_evaluation(place: Path, first: Launch) -> None:
    ours = json.loads(first.ranks[0]["outcomes"][2][1])["results"][0]
    alone = loretta("eval", place / "two", "--split", "train", "--json").document["results"][0]

    assert ours["rows"] == ROWS
    assert ours["metrics"].pop("loss") == pytest.approx(alone["metrics"].pop("loss"), abs=TOLERANCE)
    assert ours == alone


def test_a_killed_run_resumed_by_two_processes_equals_an_uninterrupted_one(
    place: Path, second: Launch
) -> None:
    code, _, stderr = second.ranks[0]["outcomes"][0]
    assert code == 0, stderr
    assert "resuming after step 6" in stderr

    # With other dropout masks the losses would be far apart.
    _assert_same_numbers(place / "cut", place / "whole", records=12 + 4)


def test_if_one_process_is_told_to_stop_all_stop_at_the_same_step(place: Path, first: Launch) -> None:
    (_, _, told), (_, _, silent) = (rank["outcomes"][4] for rank in first.ranks)
    assert "Interrupted after step 8 of 12" in told
    assert "error" not in silent
    assert "resuming after step 8" in first.ranks[0]["outcomes"][5][2]
    _assert_same_numbers(place / "stopped", place / "whole", records=12 + 4)


def test_a_checkpoint_that_is_asked_for_is_one_of_all_processes(place: Path, first: Launch) -> None:
    (_, _, told), (_, _, silent) = (rank["outcomes"][6] for rank in first.ranks)
    assert told.count("saved, as the file") == 1
    assert "saved" not in silent
    assert len(list((place / "saved" / "checkpoints" / "checkpoint-5").glob("rng_state_*"))) == 2
    assert not (place / "saved" / "save").exists()
    # The line of the training loss is there at every step anyway.
    _assert_same_numbers(place / "saved", place / "whole", records=12 + 4)


def test_one_process_goes_on_with_the_run_of_two(
    place: Path, one: Path, first: Launch, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(place / "parts", tmp_path / "run"))
    (run / "report.json").unlink()
    for checkpoint in (run / "checkpoints").iterdir():
        if int(checkpoint.name.removeprefix("checkpoint-")) > 20:
            shutil.rmtree(checkpoint)

    outcome = loretta("train", "--output", run, "--resume")

    assert outcome.exit_code == 0, outcome.stderr
    assert "resuming after step 20" in outcome.stderr
    _assert_same_numbers(run, one)


def test_the_failure_of_one_process_ends_all_and_is_told_once(place: Path, second: Launch) -> None:
    assert second.exit_code != 0
    (code, stdout, stderr) = second.ranks[1]["outcomes"][1]
    assert code == 1
    error = json.loads(stdout)["error"]
    assert error["type"] == "TrainingError"
    assert error["message"] == "Process 1 of 2: This process alone is out of memory."
    assert "error: Process 1 of 2" in stderr
    # The first was ended, or lost its connection; either way it says nothing of an error.
    for _, stdout, stderr in second.ranks[0]["outcomes"][1:]:
        assert not stdout
        assert "error" not in stderr
