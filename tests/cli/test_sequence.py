"""``train`` with several tasks: its folder, its report, and what evaluates, merges and exports it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from loretta_cli.evaluation.forgetting import TaskCourse
from loretta_cli.training.sequence import _line
from tests.cli.conftest import FEW_STEPS, FinishedRun, Workplace, _finished
from tests.cli.refusal import assert_refused
from tests.command_line import Outcome, files_below, loretta, metric_records
from tests.task_folders import write_tasks

STAGES = ("1-sst2", "2-sst5", "3-mr")
THREE = ("--task", "sst2", "--task", "sst5", "--task", "mr")


@pytest.fixture(scope="module")
def tasks(workplace: Workplace) -> Path:
    return write_tasks(workplace.folder / "tasks", "sst2", "sst5", "mr")


@pytest.fixture(scope="module")
def sequence(workplace: Workplace, tasks: Path) -> FinishedRun:
    """rep on the encoder, three tasks with a head each; ``--json``."""
    arguments = ("--model", workplace.encoder, "--data", tasks, *THREE, "--method", "rep", "--json")
    return _finished(workplace.folder / "sequence", *arguments)


@pytest.fixture(scope="module")
def shared(workplace: Workplace, tasks: Path) -> FinishedRun:
    """The same with one head, of two tasks."""
    arguments = ("--model", workplace.encoder, "--data", tasks, "--task", "sst2", "--task", "mr", "--json")
    return _finished(workplace.folder / "shared", *arguments, "--set", "task.shared_head=true")


def check_refused(outcome: Outcome, *says: str) -> None:
    assert_refused(outcome)
    for words in says:
        assert words in outcome.stderr


def test_the_folder_has_a_run_for_each_stage_and_the_last_adapter(sequence: FinishedRun) -> None:
    own = {"config.yaml", "environment.json", "metrics.jsonl", "metrics.csv", "README.md", "report.json"}
    own |= {"adapter", "stages", "forgetting.md", "forgetting.csv", "forgetting.png", "fingerprints.json"}
    own.add("origins.json")
    assert {path.name for path in sequence.path.iterdir()} == own
    assert tuple(sorted(path.name for path in (sequence.path / "stages").iterdir())) == STAGES
    for stage in STAGES:
        for name in ("config.yaml", "report.json", "metrics.jsonl", "adapter", "best", "checkpoints"):
            assert (sequence.path / "stages" / stage / name).exists()
    assert files_below(sequence.path / "adapter") == files_below(sequence.path / "stages/3-mr/adapter")


def test_the_report_is_that_of_the_last_stage_with_all_stages_and_the_forgetting(
    sequence: FinishedRun,
) -> None:
    document = sequence.outcome.document
    stages, forgetting = document["stages"], document["forgetting"]

    assert document == json.loads((sequence.path / "report.json").read_text(encoding="utf-8"))
    assert document["run"] == str(sequence.path)
    for name in ("best_step", "trainable_parameters", "total_parameters", "steps", "peak_memory_bytes"):
        assert document[name] == stages[-1][name]
    final = [task["scores"][-1] for task in forgetting["tasks"]]
    assert document["metrics"] == {**stages[-1]["metrics"], "mean_over_tasks": pytest.approx(sum(final) / 3)}
    assert [Path(stage["run"]).name for stage in stages] == forgetting["stages"] == list(STAGES)
    for number, task in enumerate(forgetting["tasks"]):
        assert task["scores"][:number] == [None] * number, "without a head there is no score"
        assert task["scores"][number] == stages[number]["metrics"][task["metric"]]


def test_the_table_stands_in_every_form(sequence: FinishedRun) -> None:
    text = (sequence.path / "forgetting.md").read_text(encoding="utf-8")
    with (sequence.path / "forgetting.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    assert text.splitlines()[0] == "|  | sst2 (accuracy) | sst5 (accuracy) | mr (accuracy) | mean |"
    names = [f"after {stage}" for stage in STAGES] + ["majority class", "forgetting"]
    assert [row[""] for row in rows] == names
    # Of 8 rows, 4 have the commonest label of sst2 and mr, and 2 that of sst5.
    assert [float(rows[3][f"{name} (accuracy)"]) for name in ("sst2", "sst5", "mr")] == [0.5, 0.25, 0.5]
    assert rows[0]["sst5 (accuracy)"] == ""
    assert rows[4]["mr (accuracy)"] == ""
    card = (sequence.path / "README.md").read_text(encoding="utf-8")
    assert "\n".join(text.splitlines()[:7]) in card
    assert "(forgetting.png)" in card


@pytest.mark.parametrize("name", ["sequence", "shared"])
def test_eval_finds_the_last_row_of_the_table(name: str, request: pytest.FixtureRequest) -> None:
    run: FinishedRun = request.getfixturevalue(name)
    last = metric_records(run.path)[-1]

    results = loretta("eval", run.path, "--json").document["results"]

    found = {f"{one['task']}/{key}": value for one in results for key, value in one["metrics"].items()}
    assert found == pytest.approx({key: value for key, value in last.items() if "/" in key}, abs=1e-6)
    assert len(results) == len(run.outcome.document["stages"])


def test_a_stage_evaluates_as_any_run(sequence: FinishedRun) -> None:
    stage = sequence.path / "stages/2-sst5"
    report = json.loads((stage / "report.json").read_text(encoding="utf-8"))

    (result,) = loretta("eval", stage, "--json").document["results"]

    assert result["task"] == "sst5"
    assert result["metrics"] == pytest.approx(report["metrics"], abs=1e-6)


def test_eval_takes_other_data_with_a_folder_for_each_task(
    sequence: FinishedRun, tasks: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(tasks, tmp_path / "other"))
    for name in ("sst2", "sst5", "mr"):
        (other / name / "train.jsonl").rename(other / name / "test.jsonl")

    outcome = loretta("eval", sequence.path, "--data", other, "--split", "test", "--rows", 5, "--json")

    results = outcome.document["results"]
    assert [(one["task"], one["split"], one["rows"]) for one in results] == [
        (name, "test", 5) for name in ("sst2", "sst5", "mr")
    ]


def test_the_last_task_is_merged_and_exported(sequence: FinishedRun, tmp_path: Path) -> None:
    merged = loretta("merge", sequence.path, "--output", tmp_path / "merged", "--json")
    exported = loretta("export", sequence.path, "--format", "lora", "--output", tmp_path / "lora", "--json")

    assert merged.document["verified"]
    assert exported.document["verified"]
    labels = json.loads((tmp_path / "merged/config.json").read_text(encoding="utf-8"))["id2label"]
    assert list(labels.values()) == ["negative", "positive"]


def test_a_merge_says_whose_head_the_model_has_where_each_task_has_one(
    sequence: FinishedRun, shared: FinishedRun, tmp_path: Path
) -> None:
    own = loretta("merge", sequence.path, "--output", tmp_path / "own")
    one = loretta("merge", shared.path, "--output", tmp_path / "one")

    assert "of mr, the last task; the others' are in the run alone" in own.stdout
    assert one.exit_code == 0, one.stderr
    assert "the last task" not in one.stdout


def test_the_picture_is_in_percent_and_a_perplexity_is_not() -> None:
    accuracy = TaskCourse("sst2", "accuracy", 0, 0.5, (0.9, None))
    perplexity = TaskCourse("language-modeling", "perplexity", 1, None, (None, 12.5))

    first, second = map(_line, (accuracy, perplexity))

    assert (first.score, list(first.scores), first.majority) == ("accuracy, %", [90, None], 50)
    assert (second.score, list(second.scores), second.majority) == ("perplexity", [None, 12.5], None)


def test_overwrite_leaves_nothing_of_a_sequence(
    sequence: FinishedRun, workplace: Workplace, tasks: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(sequence.path, tmp_path / "run")

    _finished(run, "--overwrite", "--model", workplace.encoder, "--task", "mr", "--data", tasks / "mr")

    assert not {"stages", "forgetting.md", "forgetting.csv", "forgetting.png"} & set(files_below(run))


def test_a_dry_run_checks_every_stage_and_writes_nothing(
    workplace: Workplace, tasks: Path, tmp_path: Path
) -> None:
    command = ("train", "--model", workplace.encoder, "--data", tasks, *THREE, "--dry-run")

    shown = loretta(*command, cwd=tmp_path)
    document = loretta(*command, "--json", cwd=tmp_path).document

    assert shown.exit_code == 0, shown.stderr
    assert "Stage 2, sst5: what differs from stage 1" in shown.stdout
    assert document["config"]["task"]["names"] == ["sst2", "sst5", "mr"]
    assert [stage["config"]["task"]["name"] for stage in document["stages"]] == ["sst2", "sst5", "mr"]
    heads = [stage["parameters"]["parts"]["head"] for stage in document["stages"]]
    assert heads[1] > heads[0] == heads[2]
    assert document["parameters"] == document["stages"][-1]["parameters"]
    assert list(tmp_path.iterdir()) == []


def test_tasks_on_the_command_line_replace_those_of_a_recipe(
    workplace: Workplace, tasks: Path, tmp_path: Path
) -> None:
    one, several = tmp_path / "one.yaml", tmp_path / "several.yaml"
    one.write_text("task: {name: rte}\n", encoding="utf-8")
    several.write_text("task: {names: [sst2, rte]}\n", encoding="utf-8")
    rest = ("--model", workplace.encoder, "--dry-run", "--json")

    many = loretta("train", one, "--data", tasks, *THREE, *rest).document
    single = loretta("train", several, "--data", tasks / "mr", "--task", "mr", *rest).document

    assert (many["config"]["task"]["name"], many["config"]["task"]["names"]) == (None, ["sst2", "sst5", "mr"])
    assert (single["config"]["task"]["name"], single["config"]["task"]["names"]) == ("mr", None)


def test_columns_are_those_of_the_task_on_own_data_alone(
    workplace: Workplace, tasks: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(tasks, tmp_path / "data"))
    (data / "classification").mkdir()
    for split in ("train", "validation"):
        lines = ["message,mood", *(f"text {number},{'ab'[number % 2]}" for number in range(12))]
        (data / "classification" / f"{split}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    columns = ("--set", "data.columns.text=message", "--set", "data.columns.label=mood")
    names = ("--task", "sst2", "--task", "classification", "--dry-run", "--json")

    document = loretta("train", "--model", workplace.encoder, "--data", data, *names, *columns).document

    first, second = (stage["config"]["data"] for stage in document["stages"])
    assert first["columns"]["text"] is None
    assert second["columns"]["text"] == "message"
    assert second["labels"] == ["a", "b"]


MISTAKES = {
    "the same task twice": (("--task", "sst2", "--task", "mr", "--task", "sst2"), ("task.names", "twice")),
    "an unknown task": (("--task", "sst2", "--task", "mrr"), ("Unknown task 'mrr'", "Did you mean 'mr'?")),
    "no folder for a task": (("--task", "sst2", "--task", "rte"), ("no folder for the task rte", "found mr")),
    "one head for 2 and 5 labels": (
        (*THREE, "--set", "task.shared_head=true"),
        ("sst2 has 2", "sst5 has 5", "Leave task.shared_head out"),
    ),
    "one head for one task": (
        ("--task", "sst2", "--set", "task.shared_head=true"),
        ("task.shared_head", "one task has one head"),
    ),
    "task.name beside them": (
        (*THREE, "--set", "task.name=sst2"),
        ("task.names", "task.name is sst2", "both are given"),
    ),
    "a list of one": (("--set", "task.names=[sst2]"), ("task.names", "two or more different tasks")),
}


@pytest.mark.parametrize("mistake", sorted(MISTAKES))
@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["train", "dry-run"])
def test_a_mistake_is_told_before_anything_is_written(
    mistake: str, dry: tuple[str, ...], workplace: Workplace, tasks: Path, tmp_path: Path
) -> None:
    arguments, says = MISTAKES[mistake]
    command = ("train", "--model", workplace.encoder, "--data", tasks, "--output", tmp_path / "run")

    outcome = loretta(*command, *FEW_STEPS, *arguments, *dry)

    check_refused(outcome, *says)
    assert not (tmp_path / "run").exists()


def test_a_data_file_is_no_folder_with_a_folder_for_each_task(workplace: Workplace, tasks: Path) -> None:
    file = tasks / "sst2/train.jsonl"

    outcome = loretta("train", "--model", workplace.encoder, "--data", file, *THREE, "--dry-run")

    check_refused(outcome, "is no folder", "a folder for each")


def test_prompts_have_no_head_to_share(workplace: Workplace, tasks: Path) -> None:
    command = ("train", "--model", workplace.decoder, "--data", tasks, *THREE, "--dry-run")

    check_refused(loretta(*command, "--set", "task.shared_head=true"), "the form prompt has no head")


def test_eval_names_the_task_without_a_folder(sequence: FinishedRun, tasks: Path) -> None:
    check_refused(loretta("eval", sequence.path, "--data", tasks / "mr"), "no folder for the task sst2")
