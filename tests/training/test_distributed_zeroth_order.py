"""Zeroth-order training by two processes against one: only losses travel, and every bit is the same.

The processes are dear to start, so two launches do the work of all tests here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import loretta, write_sentences
from tests.training.test_distributed import Launch, launch

STEPS = 8
RUNS: dict[str, tuple[str, ...]] = {
    "five": ("zo.queries=5", "training.learning_rate=0.0001"),
    "single": ("training.learning_rate=0.0001", "zo.epsilon=0.001"),
    "several at once": ("training.learning_rate=0.0001", "zo.epsilon=0.001", "zo.backend=batched"),
    "one-sided": (
        *("zo.queries=3", "zo.estimator=one-sided", "training.gradient_accumulation=2"),
        *("training.learning_rate=0.0001", "zo.epsilon=0.001"),
    ),
    "explodes": ("zo.queries=2", "zo.rollback=1.05", "training.learning_rate=0.03", "zo.epsilon=0.001"),
    "every weight": (
        "adapter.method=full",
        "zo.queries=3",
        "training.learning_rate=0.00001",
        "zo.epsilon=0.001",
    ),
    "rows": ("zo.queries=2", "zo.split=rows", "training.learning_rate=0.00001", "zo.epsilon=0.001"),
    # The second process has no row to measure eps with.
    "one row": ("zo.split=rows", "training.learning_rate=0.00001", "data.train_rows=1"),
}
"""Settings of runs that are done by one process and by two."""
SAME_BYTES = ("five", "single", "several at once", "one-sided", "explodes", "every weight")


def _train(place: Path, output: Path, *settings: str) -> list[str]:
    common = (
        *("training.batch_size=4", f"training.max_steps={STEPS}", "training.evaluate_every=4"),
        *("training.scheduler=constant", "data.protocol=paper", "zo.backend=sequential", *settings),
    )
    return [
        *("train", "--model", str(place / "decoder"), "--task", "sst2", "--gradient", "zo", "--json"),
        *("--data", str(place / "sentences"), "--output", str(output)),
        *(part for setting in common for part in ("--set", setting)),
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny_folders import save_tiny_decoder

    folder = tmp_path_factory.mktemp("distributed")
    save_tiny_decoder(folder / "decoder")
    # The last batch of an epoch has one row, which leaves the second process none of it.
    write_sentences(folder / "sentences", train=25, validation=9)
    return folder


@pytest.fixture(scope="module")
def one(place: Path) -> Path:
    """A folder with the runs of one process."""
    for name, settings in RUNS.items():
        outcome = loretta(*_train(place, place / "one" / name, *settings))
        assert outcome.exit_code == 0, outcome.stderr
    return place / "one"


@pytest.fixture(scope="module")
def first(place: Path) -> Launch:
    """The runs of two processes, one whose rows measure eps, and one that ends with a kill."""
    commands = [_train(place, place / "two" / name, *settings) for name, settings in RUNS.items()]
    commands.append(_train(place, place / "two" / "measured", *RUNS["rows"][:3]))
    commands.append(["die@6", *_train(place, place / "two" / "cut", *RUNS["five"])])
    done = launch(place / "first", *commands)
    for rank in done.ranks:
        # Of the last, one process is killed; what the launcher then does to the other has no set order.
        whole = rank["outcomes"][: len(RUNS) + 1]
        assert [code for code, _, _ in whole] == [0] * (len(RUNS) + 1), done.stderr
    return done


@pytest.fixture(scope="module")
def second(place: Path, first: Launch) -> Launch:
    """``cut`` resumed."""
    return launch(place / "second", ["train", "--output", str(place / "two" / "cut"), "--resume", "--json"])


def _bytes(run: Path) -> tuple[bytes, bytes]:
    adapter = run / "adapter" / "adapter_model.safetensors"
    return (run / "trajectory.jsonl").read_bytes(), adapter.read_bytes()


def _records(run: Path) -> list[dict[str, Any]]:
    lines = (run / "trajectory.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[1:]]


@pytest.mark.parametrize("name", SAME_BYTES)
def test_with_the_queries_split_trajectory_and_adapter_are_those_of_one_process(
    name: str, place: Path, one: Path, first: Launch
) -> None:
    assert len(_records(place / "two" / name)) == STEPS
    assert _bytes(place / "two" / name) == _bytes(one / name)


def test_a_rollback_is_among_what_was_compared(place: Path, first: Launch) -> None:
    events = [record.get("event") for record in _records(place / "two" / "explodes")]

    assert "rollback" in events


@pytest.mark.parametrize("name", ["rows", "one row"])
def test_with_the_rows_split_the_losses_are_those_of_one_process(
    name: str, place: Path, one: Path, first: Launch
) -> None:
    pairs = list(zip(_records(place / "two" / name), _records(one / name), strict=True))

    assert len(pairs) == STEPS
    for ours, theirs in pairs:
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-6)


def test_every_process_ends_with_the_same_adapter_bit_for_bit(first: Launch, second: Launch) -> None:
    for done, count in ((first, len(RUNS) + 1), (second, 1)):
        ours, theirs = ([model["trained"] for model in rank["models"]] for rank in done.ranks)
        assert len(ours) == count
        assert ours == theirs


def test_a_killed_run_resumed_by_two_processes_equals_an_uninterrupted_one(
    place: Path, one: Path, second: Launch
) -> None:
    code, _, stderr = second.ranks[0]["outcomes"][0]
    assert code == 0, stderr
    assert "resuming after step 4" in stderr

    assert _bytes(place / "two" / "cut") == _bytes(one / "five")


def test_the_runs_of_two_processes_are_replayed_by_one(place: Path, first: Launch, tmp_path: Path) -> None:
    for name in ("five", "measured", "every weight"):
        outcome = loretta("replay", place / "two" / name, "--output", tmp_path / name, "--json")
        assert outcome.document["verified"] is True
