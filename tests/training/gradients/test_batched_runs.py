"""Batched runs by the command line: the choice stands in the header, and a resumed run keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loretta_cli.training.gradients import starting
from loretta_cli.training.gradients.trajectory import Trajectory
from tests.command_line import loretta, write_sentences
from tests.tiny_folders import save_tiny_encoder

STEPS, CUT_AFTER = 7, 5


def command(place: Path, output: Path, *settings: str) -> list[str]:
    every = ("data.protocol=paper", "zo.queries=2", "zo.epsilon=0.01", *settings)
    every += (f"training.max_steps={STEPS}", "training.evaluate_every=3", "training.batch_size=4")
    return [
        *("train", "--model", str(place / "model"), "--method", "adp", "--task", "sst2", "--gradient", "zo"),
        *("--data", str(place / "data"), "--output", str(output)),
        *(part for one in every for part in ("--set", one)),
    ]


def free_command(place: Path, output: Path, *settings: str) -> list[str]:
    """Without a number of steps and without eps."""
    return [
        *("train", "--model", str(place / "model"), "--method", "adp", "--task", "sst2", "--gradient", "zo"),
        *("--data", str(place / "data"), "--output", str(output)),
        *(
            part
            for one in ("data.protocol=paper", "zo.queries=2", "training.batch_size=4", "training.warmup=0")
            for part in ("--set", one)
        ),
        *(part for one in settings for part in ("--set", one)),
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("batched")
    save_tiny_encoder(folder / "model")
    write_sentences(folder / "data", train=20, validation=6)
    return folder


@pytest.fixture(scope="module")
def whole(place: Path) -> Path:
    outcome = loretta(*command(place, place / "whole", "zo.backend=batched"))
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stderr.count("queries are evaluated several at once: 4 in a forward pass, as set") == 1
    return place / "whole"


def test_the_header_has_the_choice_and_the_records_count_what_it_took(whole: Path) -> None:
    header, records = Trajectory(whole / "trajectory.jsonl").read()
    assert header.backend == "batched"
    assert header.chunk > 0
    assert header.passes >= 1 + 4 + 4  # for the memory, and for both ways of a comparison
    assert [record.forward_passes for record in records] == [
        header.passes + 4 * n for n in range(1, STEPS + 1)
    ]


def test_a_run_that_is_cut_off_goes_on_without_choosing_anew_and_ends_the_same(
    whole: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loretta_cli.training.trainer import AdapterTrainer

    step = AdapterTrainer.training_step

    def interrupted(trainer: AdapterTrainer, *arguments: Any, **options: Any) -> Any:
        if trainer.state.global_step >= CUT_AFTER:
            raise KeyboardInterrupt
        return step(trainer, *arguments, **options)

    run = place / "cut"
    with monkeypatch.context() as patch:
        patch.setattr(AdapterTrainer, "training_step", interrupted)
        assert loretta(*command(place, run, "zo.backend=batched")).exit_code == 130
    monkeypatch.setattr(starting, "choose", None)  # is not asked again
    outcome = loretta("train", "--output", run, "--resume")
    assert outcome.exit_code == 0, outcome.stderr
    name = "adapter/adapter_model.safetensors"
    assert (run / name).read_bytes() == (whole / name).read_bytes()
    assert (run / "trajectory.jsonl").read_bytes() == (whole / "trajectory.jsonl").read_bytes()


def test_batched_and_sequential_runs_have_the_same_losses_but_for_rounding(whole: Path, place: Path) -> None:
    outcome = loretta(*command(place, place / "sequential", "zo.backend=sequential"))
    assert outcome.exit_code == 0, outcome.stderr
    (_, several), (header, single) = (
        Trajectory(run / "trajectory.jsonl").read() for run in (whole, place / "sequential")
    )
    assert (header.backend, header.chunk, header.passes) == ("sequential", 0, 0)
    assert [one.loss for one in several] == pytest.approx([one.loss for one in single], abs=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        ("zo.epsilon=0.01", "zo.backend=batched"),
        ("zo.backend=auto", "zo.estimator=one-sided"),
        ("zo.epsilon=0.01", "zo.backend=sequential", "zo.schedule=linear", "zo.max_queries=4"),
    ],
)
def test_the_forward_passes_of_a_whole_run_stay_within_the_budget(
    settings: tuple[str, ...], place: Path, tmp_path: Path
) -> None:
    budget = 120
    more = (*settings, f"zo.max_forward_passes={budget}", "training.epochs=99", "data.validation_rows=4")
    outcome = loretta(*free_command(place, tmp_path / "run", *more))
    assert outcome.exit_code == 0, outcome.stderr
    _, records = Trajectory(tmp_path / "run" / "trajectory.jsonl").read()
    assert budget - 80 < records[-1].forward_passes <= budget
    assert records[-1].lr < records[0].lr / 2, "the schedule ends with the run"


def test_a_budget_that_does_not_pay_for_the_start_leaves_no_folder(place: Path, tmp_path: Path) -> None:
    outcome = loretta(*free_command(place, tmp_path / "run", "zo.max_forward_passes=64"))
    assert outcome.exit_code == 2
    assert "but 119 are needed: 64 to measure zo.epsilon" in outcome.stderr
    assert not (tmp_path / "run").exists()
