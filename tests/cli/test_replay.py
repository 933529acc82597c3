"""``loretta replay``, and what a zeroth-order run says: header, events, report, card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import FEW_STEPS, FinishedRun, Workplace
from tests.cli.refusal import assert_refused
from tests.command_line import loretta, metric_records

WEIGHTS = "adapter_model.safetensors"
EVENTS = (
    *("--set", "training.max_steps=60"),
    *("--set", "training.evaluate_every=12"),
    *("--set", "training.learning_rate=30"),
    *("--set", "training.warmup=0"),
    *("--set", "training.optimizer=adamw"),
    *("--set", "zo.clip=1.2"),
)
"""A rate that makes the loss explode, and slopes that are cut."""


def _train(workplace: Workplace, folder: Path, *more: object, model: Path | None = None) -> FinishedRun:
    arguments = ("--model", model or workplace.encoder, "--task", "sst2", "--data", workplace.sentences)
    zo = ("--gradient", "zo", "--set", "zo.epsilon=0.001", "--set", "zo.backend=sequential")
    outcome = loretta("train", "--output", folder, *FEW_STEPS, *arguments, *zo, *more, cwd=folder.parent)
    assert outcome.exit_code == 0, outcome.stderr
    return FinishedRun(folder, outcome)


@pytest.fixture(scope="module")
def zo_run(workplace: Workplace) -> FinishedRun:
    """rep on the encoder, six steps."""
    return _train(workplace, workplace.folder / "zo-run", "--method", "rep")


@pytest.fixture(scope="module")
def stormy_run(workplace: Workplace) -> FinishedRun:
    """A run with every kind of event, as JSON."""
    return _train(workplace, workplace.folder / "stormy-run", "--method", "rep", *EVENTS, "--json")


def test_a_run_is_replayed_bit_for_bit(zo_run: FinishedRun, tmp_path: Path) -> None:
    outcome = loretta("replay", zo_run.path, "--output", tmp_path / "again")

    assert outcome.exit_code == 0, outcome.stderr
    assert "yes, bit for bit" in outcome.stdout
    for name in (WEIGHTS, "adapter_config.json"):
        again, first = tmp_path / "again" / "adapter" / name, zo_run.path / "start" / name
        first = zo_run.path / "adapter" / name if name == WEIGHTS else first
        assert again.read_bytes() == first.read_bytes()


def test_without_an_output_the_adapter_goes_into_the_run(
    zo_run: FinishedRun, copied: Callable[[FinishedRun], Path]
) -> None:
    run = copied(zo_run)

    document = loretta("replay", run, "--to", 3, "--json").document

    assert document["output"] == str(run / "replay-3")
    assert (document["step"], document["verified"]) == (3, True)
    assert (run / "replay-3" / "adapter" / WEIGHTS).is_file()


def test_a_step_that_the_run_did_not_save_is_not_compared(zo_run: FinishedRun, tmp_path: Path) -> None:
    outcome = loretta("replay", zo_run.path, "--to", 2, "--output", tmp_path / "two")

    assert outcome.exit_code == 0, outcome.stderr
    assert "the run saved nothing after this step" in outcome.stdout


def test_a_changed_trajectory_is_noticed(
    zo_run: FinishedRun, copied: Callable[[FinishedRun], Path], tmp_path: Path
) -> None:
    run = copied(zo_run)
    lines = (run / "trajectory.jsonl").read_text(encoding="utf-8").splitlines()
    record = json.loads(lines[3])
    record["g"] = [record["g"][0] * 1.001]
    lines[3] = json.dumps(record)
    (run / "trajectory.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")

    outcome = loretta("replay", run, "--to", 6, "--output", tmp_path / "changed")

    assert outcome.exit_code == 2
    assert "The rebuilt adapter differs from" in outcome.stderr


def _remove_start(run: Path) -> None:
    shutil.rmtree(run / "start")


def _damage_start(run: Path) -> None:
    (run / "start" / WEIGHTS).write_bytes(b"garbage")


def _other_start(run: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(run / "start" / WEIGHTS)
    save_file(
        {name: value.reshape(-1)[:1].clone() for name, value in tensors.items()}, run / "start" / WEIGHTS
    )


def _remove_trajectory(run: Path) -> None:
    (run / "trajectory.jsonl").unlink()


def _cut_header(run: Path) -> None:
    (run / "trajectory.jsonl").write_text("{}\n", encoding="utf-8")


def _garble_config(run: Path) -> None:
    (run / "start" / "adapter_config.json").write_text("garbage", encoding="utf-8")


def _empty_config(run: Path) -> None:
    (run / "start" / "adapter_config.json").write_text("{}", encoding="utf-8")


def _change_header(run: Path, **values: object) -> None:
    first, *rest = (run / "trajectory.jsonl").read_text(encoding="utf-8").splitlines()
    header = {**json.loads(first)["header"], **values}
    lines = [json.dumps({"header": header}), *rest]
    (run / "trajectory.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _cut_records(run: Path) -> None:
    lines = (run / "trajectory.jsonl").read_text(encoding="utf-8").splitlines()
    (run / "trajectory.jsonl").write_text("\n".join(lines[:2]) + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_garble_config, "The start adapter in"),
        (_empty_config, "names no peft_type"),
        (partial(_change_header, optimizer="lion"), "optimizer: Input should be 'adamw'"),
        (partial(_change_header, optimizer_options={}), "optimizer_options.weight_decay"),
        (_cut_records, "has 1 step."),
        (_remove_start, "has no start/adapter_config.json"),
        (_damage_start, "of the run is broken"),
        (_other_start, "in the trajectory"),
        (_remove_trajectory, "There is no trajectory"),
        (_cut_header, "does not begin with a header"),
    ],
)
def test_a_damaged_run_is_refused_and_nothing_is_left_behind(
    damage: Callable[[Path], None],
    words: str,
    zo_run: FinishedRun,
    copied: Callable[[FinishedRun], Path],
    tmp_path: Path,
) -> None:
    run = copied(zo_run)
    damage(run)

    outcome = loretta("replay", run, "--output", tmp_path / "out" / "again")

    assert_refused(outcome)
    assert words in outcome.stderr
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--to", 7), "--to is 7, but the trajectory of the run"),
        (("--to", -1), "--to is -1; expected 0 or more"),
        (("--output", "{run}"), "exists and is not empty"),
    ],
)
def test_wrong_flags_are_refused(flags: tuple[object, ...], words: str, zo_run: FinishedRun) -> None:
    outcome = loretta("replay", zo_run.path, *(str(one).replace("{run}", str(zo_run.path)) for one in flags))

    assert_refused(outcome)
    assert words in outcome.stderr
    assert "hint:" in outcome.stderr


def test_a_run_trained_by_backpropagation_has_nothing_to_replay(rep_run: FinishedRun) -> None:
    outcome = loretta("replay", rep_run.path)

    assert_refused(outcome)
    assert "There is no trajectory" in outcome.stderr
    assert "training.gradient=zo" in outcome.stderr


@pytest.mark.parametrize("name", ["no-such-run", "sentences"])
def test_what_is_no_run_is_refused(name: str, workplace: Workplace) -> None:
    outcome = loretta("replay", workplace.folder / name)

    assert_refused(outcome)
    assert "is not a run folder" in outcome.stderr


@pytest.mark.parametrize(("kept", "words"), [(0, "has 0 steps"), (3, "has 2 steps")])
def test_a_run_whose_trajectory_was_cut_is_not_resumed(
    kept: int, words: str, zo_run: FinishedRun, copied: Callable[[FinishedRun], Path]
) -> None:
    run = copied(zo_run)
    (run / "report.json").unlink()
    lines = (run / "trajectory.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (run / "trajectory.jsonl").write_text("".join(lines[:kept]), encoding="utf-8")
    if not kept:
        (run / "trajectory.jsonl").unlink()

    outcome = loretta("train", "--output", run, "--resume")

    assert outcome.exit_code == 2, outcome.stderr
    assert f"a checkpoint after step 6, but its trajectory {run}/trajectory.jsonl {words}" in outcome.stderr
    assert "--overwrite" in outcome.stderr


def test_the_header_says_how_gradients_are_estimated(zo_run: FinishedRun) -> None:
    (line,) = [line for line in zo_run.outcome.stderr.splitlines() if line.split()[:1] == ["gradient"]]

    assert "zo (forward passes alone), central, gaussian, 1 query a step, eps 0.001" in line


def test_the_last_table_has_forward_passes_and_events(zo_run: FinishedRun) -> None:
    rows = {line.split("  ")[0]: line for line in zo_run.outcome.stdout.splitlines()}

    assert rows["forward passes"].split()[2] == "12"
    assert rows["events"].split()[1:] == ["none"]


def test_the_report_counts_passes_and_events(stormy_run: FinishedRun) -> None:
    found = stormy_run.outcome.document["zeroth_order"]
    lines = (stormy_run.path / "trajectory.jsonl").read_text(encoding="utf-8").splitlines()[1:]
    records = [json.loads(line) for line in lines]

    counted = {name: sum(record.get("event") == name for record in records) for name in found["events"]}
    assert set(counted) == {"skip", "clip", "rollback"}
    assert found["events"] == counted
    assert counted["clip"] > 0
    assert counted["rollback"] > 0
    assert found["forward_passes"] == 2 * sum(bool(record["g"]) for record in records)
    assert (found["eps"], found["queries"]) == (0.001, 1)
    assert json.loads((stormy_run.path / "report.json").read_text(encoding="utf-8"))["zeroth_order"] == found


def test_each_event_is_told_once_with_its_step(stormy_run: FinishedRun) -> None:
    words = {
        "skip": "no slope of the loss",
        "clip": "a slope was cut",
        "rollback": "whatever the parameters are (zo.rollback); they are those",
    }
    lines = (stormy_run.path / "trajectory.jsonl").read_text(encoding="utf-8").splitlines()[1:]
    said = stormy_run.outcome.stderr.splitlines()

    for record in map(json.loads, lines):
        about = [line for line in said if f"step {record['step'] + 1}:" in line]
        event = record.get("event")
        assert len(about) == (1 if event else 0), about
        assert event is None or words[event] in about[0]


def test_a_run_of_backpropagation_says_nothing_of_it(rep_run: FinishedRun) -> None:
    report = json.loads((rep_run.path / "report.json").read_text(encoding="utf-8"))

    assert report["zeroth_order"] is None
    assert "forward passes" not in rep_run.outcome.stdout
    card = (rep_run.path / "README.md").read_text(encoding="utf-8")
    assert "zeroth-order" not in card
    assert "malladi" not in card


def test_the_card_says_and_cites_zeroth_order_training(zo_run: FinishedRun) -> None:
    card = (zo_run.path / "README.md").read_text(encoding="utf-8")

    report = json.loads((zo_run.path / "report.json").read_text(encoding="utf-8"))
    eps = report["zeroth_order"]["eps"]
    assert f"zeroth-order estimates, from 12 forward passes (eps {eps:g})" in card
    assert "![Loss, metric, learning rate, queries and projected gradient over the steps](curves.png)" in card
    for key in ("yang-etal-2024-loretta", "malladi-etal-2023-mezo", "yang-etal-2024-adazeta"):
        assert f"@inproceedings{{{key}," in card
    assert "| zo.estimator | central |" in card


def test_an_evaluation_that_is_not_finite_is_the_worst_and_the_run_goes_on(
    workplace: Workplace, tmp_path: Path
) -> None:
    settings = ("training.learning_rate=1e12", "training.warmup=0", "training.max_steps=40")
    more = [part for one in settings for part in ("--set", one)]
    run = _train(workplace, tmp_path / "run", "--method", "rep", *more, "--json")

    split = "selection"
    evaluated = [record for record in metric_records(run.path) if record["split"] == split]
    lost = [record for record in evaluated if record["loss"] is None]
    assert lost
    assert all(record["accuracy"] is None for record in lost)
    best = run.outcome.document["best_step"]
    assert next(record for record in evaluated if record["step"] == best)["loss"] is not None
    assert run.outcome.document["zeroth_order"]["events"]["rollback"] > 0
    for line in run.outcome.stderr.splitlines():
        assert not ("loss=inf" in line and "best=true" in line)


def test_a_run_without_a_way_back_ends_with_a_clear_error(workplace: Workplace, tmp_path: Path) -> None:
    arguments = ("--model", workplace.encoder, "--task", "sst2", "--data", workplace.sentences)
    settings = (
        "training.learning_rate=1e30",
        "training.warmup=0",
        "training.max_steps=60",
        "zo.epsilon=1e-3",
    )
    more = [part for one in (*settings, "zo.backend=sequential") for part in ("--set", one)]

    outcome = loretta(
        "train", "--output", tmp_path / "run", *FEW_STEPS, *arguments, "--gradient", "zo", *more
    )

    assert outcome.exit_code == 1
    assert "The loss has exploded 8 times" in outcome.stderr
    assert "training.learning_rate" in outcome.stderr


def test_a_dry_run_counts_the_lean_preset(workplace: Workplace, zo_run: FinishedRun) -> None:
    arguments = ("--model", workplace.encoder, "--task", "sst2", "--data", workplace.sentences)

    document = loretta(
        "train", *arguments, "--method", "rep", "--gradient", "zo", "--dry-run", "--json"
    ).document

    report = json.loads((zo_run.path / "report.json").read_text(encoding="utf-8"))
    assert document["parameters"]["trainable"] == report["trainable_parameters"]
    assert document["config"]["adapter"]["preset"] == "lean"
    assert document["config"]["training"]["optimizer"] == "sgd"


def test_early_stopping_ends_a_run_that_does_not_improve(workplace: Workplace, tmp_path: Path) -> None:
    more = ("--set", "training.early_stopping=2", "--set", "training.learning_rate=1e-12")
    run = _train(
        workplace, tmp_path / "run", "--method", "rep", *more, "--set", "training.max_steps=30", "--json"
    )

    assert run.outcome.document["steps"] == 9
    assert loretta("replay", run.path, "--to", 9).exit_code == 0


def test_a_budget_of_forward_passes_ends_a_run(workplace: Workplace, tmp_path: Path) -> None:
    more = ("--set", "zo.max_forward_passes=20", "--set", "zo.queries=2", "--set", "training.max_steps=100")
    document = _train(workplace, tmp_path / "run", "--method", "adp", *more, "--json").outcome.document

    assert document["steps"] == 5
    assert document["zeroth_order"]["forward_passes"] == 20


def test_each_of_several_tasks_has_a_trajectory_of_its_own(workplace: Workplace, tmp_path: Path) -> None:
    from tests.task_folders import write_tasks

    data = tmp_path / "data"
    write_tasks(data, "sst2", "mr")
    tasks = ("--task", "sst2", "--task", "mr", "--model", workplace.encoder, "--data", data)
    zo = ("--gradient", "zo", "--set", "zo.epsilon=0.001", "--set", "zo.backend=sequential")
    outcome = loretta("train", "--output", tmp_path / "run", *FEW_STEPS, *tasks, *zo, "--json")
    assert outcome.exit_code == 0, outcome.stderr

    stages = sorted((tmp_path / "run" / "stages").iterdir())
    assert len(stages) == 2
    for stage in stages:
        replayed = loretta("replay", stage, "--json").document
        assert replayed["verified"] is True
    assert all(stage["zeroth_order"]["forward_passes"] == 12 for stage in outcome.document["stages"])
    whole: dict[str, Any] = loretta(
        "replay", tmp_path / "run", "--output", tmp_path / "again", "--json"
    ).document
    assert whole["verified"] is True


@pytest.mark.parametrize(
    ("variable", "words"),
    [("ACCELERATE_USE_FSDP", "The launcher asks for FSDP")],
)
def test_launchers_that_divide_the_base_are_refused(
    variable: str, words: str, workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "true")
    arguments = ("--model", workplace.encoder, "--task", "sst2", "--data", workplace.sentences)

    outcome = loretta("train", "--output", tmp_path / "run", *arguments, "--gradient", "zo")

    assert_refused(outcome)
    assert words in outcome.stderr
    assert not (tmp_path / "run").exists()


def test_help_names_both_sources_of_gradients() -> None:
    text = " ".join(loretta("train", "--help").stdout.split())

    assert "backprop, or zo" in text.replace("│ │ ", "")
