"""``loretta compare``, with real training of tiny models."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from loretta_cli.cli import compare as compare_command
from loretta_cli.grid import run as grid_run
from loretta_cli.processes import Processes
from tests.cli.conftest import FEW_STEPS, Workplace
from tests.command_line import Outcome, files_below, loretta

METHODS = ("--method", "rep,head")


@dataclass(frozen=True, slots=True)
class FinishedGrid:
    """A comparison, and how the command that wrote it ended."""

    path: Path
    arguments: tuple[object, ...]
    outcome: Outcome

    def again(self, *arguments: object) -> Outcome:
        """The same command once more, with further arguments."""
        return loretta("compare", *self.arguments, "--output", self.path, *arguments)


def asked(workplace: Workplace) -> tuple[object, ...]:
    """A grid of two methods on one task, without an output."""
    return (
        "--model",
        workplace.encoder,
        "--task",
        "sst2",
        "--data",
        workplace.sentences,
        *METHODS,
        *FEW_STEPS,
    )


@pytest.fixture(scope="module")
def trained(workplace: Workplace) -> FinishedGrid:
    """Two methods, trained; no test changes it."""
    path = workplace.folder / "comparison"
    outcome = loretta("compare", *asked(workplace), "--output", path, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    return FinishedGrid(path, asked(workplace), outcome)


@pytest.fixture
def grid(trained: FinishedGrid, tmp_path: Path) -> FinishedGrid:
    """A copy that the test may change."""
    path = Path(shutil.copytree(trained.path, tmp_path / "comparison"))
    return FinishedGrid(path, trained.arguments, trained.outcome)


def test_each_cell_is_a_run_folder_and_the_comparison_stands_beside_them(trained: FinishedGrid) -> None:
    assert sorted(path.name for path in trained.path.iterdir()) == [
        *("cells", "comparison.csv", "comparison.json", "comparison.md", "comparison.png", "losses.png"),
    ]
    for name in ("sst2-rep-encoder-seed0", "sst2-head-encoder-seed0"):
        report = json.loads((trained.path / "cells" / name / "report.json").read_text(encoding="utf-8"))
        (row,) = [row for row in trained.outcome.document["rows"] if f"-{row['method']}-" in name]
        score = row["tasks"]["sst2"]
        assert score["score"] == report["metrics"]["accuracy"]
        assert score["trainable_parameters"] == report["trainable_parameters"]
        weights = trained.path / "cells" / name / "adapter" / "adapter_model.safetensors"
        assert score["storage_bytes"] == weights.stat().st_size


def test_a_cell_can_be_used_as_any_run(trained: FinishedGrid) -> None:
    cell = trained.path / "cells" / "sst2-rep-encoder-seed0"
    assert loretta("eval", cell, "--json").exit_code == 0
    recipe = cell.with_name(f"{cell.name}.yaml")
    assert loretta("train", recipe, "--dry-run").exit_code == 0


def test_with_json_stdout_is_the_document_of_the_file(trained: FinishedGrid) -> None:
    written = json.loads((trained.path / "comparison.json").read_text(encoding="utf-8"))
    printed = trained.outcome.document

    assert printed.pop("output") == str(trained.path)
    assert printed == written


def test_a_row_by_forward_passes_alone_brings_their_picture_and_a_column(
    workplace: Workplace, tmp_path: Path
) -> None:
    grid = tmp_path / "grid.yaml"
    settings = "{training.gradient: [backprop, zo], zo.queries: 2, zo.epsilon: 0.001, zo.backend: sequential}"
    grid.write_text(f"grid: {{methods: rep, settings: {settings}}}", encoding="utf-8")
    output = tmp_path / "comparison"
    known = ("--model", workplace.encoder, "--task", "sst2", "--data", workplace.sentences, *FEW_STEPS)

    outcome = loretta("compare", grid, *known, "--output", output)

    assert outcome.exit_code == 0, outcome.stderr
    assert (output / "passes.png").read_bytes().startswith(b"\x89PNG")
    assert outcome.stdout.splitlines()[-1].endswith(".png, passes.png and losses.png")
    rows = json.loads((output / "comparison.json").read_text(encoding="utf-8"))["rows"]
    # Six batches forward and backward; six of two queries, each on both sides.
    assert {row["row"]: row["tasks"]["sst2"]["passes"] for row in rows} == {
        "rep, gradient=backprop": 12,
        "rep, gradient=zo": 24,
    }


def test_a_second_time_nothing_is_trained_and_the_table_is_shown(grid: FinishedGrid) -> None:
    before = {path: path.stat().st_mtime_ns for path in (grid.path / "cells").rglob("*")}

    outcome = grid.again()

    assert outcome.exit_code == 0
    assert "2 of 2 cells were done before" in outcome.stderr
    assert "training:" not in outcome.stderr
    assert any(line.startswith("rep ") for line in outcome.stdout.splitlines())
    assert before == {path: path.stat().st_mtime_ns for path in (grid.path / "cells").rglob("*")}


def test_another_seed_joins_the_runs_that_are_there(grid: FinishedGrid) -> None:
    document = grid.again("--seed", "0,1", "--method", "head", "--json").document

    assert {cell["name"]: cell["state"] for cell in document["cells"]} == {
        f"sst2-{method}-encoder-seed{seed}": "finished" for method in ("rep", "head") for seed in (0, 1)
    }
    scores = document["rows"][1]["tasks"]["sst2"]
    first, second = scores["scores"]
    assert scores["score"] == pytest.approx((first + second) / 2)
    assert scores["deviation"] == pytest.approx(abs(first - second) / 2**0.5)


def test_other_settings_are_refused_and_trained_anew_with_overwrite(grid: FinishedGrid) -> None:
    changed = ("--method", "head", "--set", "training.max_steps=3")
    before = (grid.path / "comparison.json").read_text(encoding="utf-8")

    refused = grid.again(*changed)
    assert refused.exit_code == 2
    assert "training.max_steps was 6, is 3" in refused.stderr
    assert (grid.path / "comparison.json").read_text(encoding="utf-8") == before

    document = grid.again(*changed, "--overwrite", "--json").document
    reports = [
        json.loads((grid.path / "cells" / cell["name"] / "report.json").read_text(encoding="utf-8"))
        for cell in document["cells"]
    ]
    assert [report["steps"] for report in reports] == [3, 3]


@pytest.fixture
def impossible(workplace: Workplace, tmp_path: Path) -> tuple[object, ...]:
    """A grid with a task that a BERT cannot do, without an output."""
    for task in ("sst2", "squad"):
        shutil.copytree(workplace.sentences, tmp_path / "data" / task)
    (tmp_path / "data" / "squad" / "validation.csv").unlink()
    row = '{"id": "1", "title": "t", "context": "a b", "question": "q", "answers": {"text": ["a"]}}\n'
    for split in ("train", "validation"):
        (tmp_path / "data" / "squad" / f"{split}.jsonl").write_text(row * 20, encoding="utf-8")
    return (*asked(workplace), "--task", "squad", "--data", tmp_path / "data")


def test_a_dry_run_tells_once_which_cells_cannot_run_and_why_and_ends_with_two(
    impossible: tuple[object, ...], tmp_path: Path
) -> None:
    outcome = loretta("compare", *impossible, "-o", tmp_path / "grid", "--dry-run")
    document = loretta("compare", *impossible, "-o", tmp_path / "grid", "--dry-run", "--json")

    assert outcome.exit_code == document.exit_code == 2
    told = (
        "squad-rep-encoder-seed0, squad-head-encoder-seed0 cannot run: The task squad has no classification"
    )
    assert outcome.stderr.count("squad") == outcome.stderr.count(told) * 3 == 3
    assert "hint: Choose a model for that form" in outcome.stderr
    states = [line.split()[-2:] for line in outcome.stdout.splitlines() if line.startswith("squad")]
    assert states == [["cannot", "run"]] * 2
    reasons = {cell["name"]: cell["reason"] for cell in document.document["cells"]}
    assert reasons["sst2-rep-encoder-seed0"] is None
    assert "has no classification form" in reasons["squad-rep-encoder-seed0"]
    assert not (tmp_path / "grid").exists()


def test_a_dry_run_counts_the_labels_of_own_data(workplace: Workplace, tmp_path: Path) -> None:
    arguments = ("--model", workplace.encoder, "--task", "classification", "--data", workplace.labelled)
    columns = ("--set", "data.columns.text=message", "--set", "data.columns.label=mood")

    document = loretta(
        *("compare", *arguments, *columns, "--method", "head", "-o", tmp_path / "x", "--dry-run", "--json")
    ).document
    alone = loretta("train", *arguments, *columns, "--method", "head", "--dry-run", "--json").document

    (cell,) = document["cells"]
    assert cell["trainable_parameters"] == alone["parameters"]["trainable"]
    assert (cell["column"], cell["data"]) == ("classification", str(workplace.labelled))


def test_a_failing_run_leaves_the_others_and_ends_with_one(
    impossible: tuple[object, ...], tmp_path: Path
) -> None:
    arguments = (*impossible, "--output", tmp_path / "grid")

    outcome = loretta("compare", *arguments, "--json")

    assert outcome.exit_code == 1
    states = {cell["name"]: cell["state"] for cell in outcome.document["cells"]}
    assert states["sst2-head-encoder-seed0"] == states["sst2-rep-encoder-seed0"] == "finished"
    assert states["squad-head-encoder-seed0"] == states["squad-rep-encoder-seed0"] == "failed"
    told = "squad-rep-encoder-seed0, squad-head-encoder-seed0 {}: The task squad has no classification form"
    assert outcome.stderr.count(told.format("cannot run")) == outcome.stderr.count("The task squad") == 1
    assert outcome.stderr.index("cannot run") < outcome.stderr.index("training:")
    assert "2 of 4 runs failed, comparison.md says why; try again: --retry-failed" in outcome.stderr
    again = loretta("compare", *arguments)
    assert again.exit_code == 1
    assert again.stderr.count(told.format("failed before")) == again.stderr.count("The task squad") == 1


def test_ctrl_c_says_how_to_go_on_and_the_same_command_finishes(
    workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("compare", *asked(workplace), "--output", tmp_path / "grid")

    class Interruption(grid_run.CellReporter):
        def progress(self, step: int) -> None:
            if step == 4:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(grid_run, "CellReporter", Interruption)
        interrupted = loretta(*arguments)
    cell = tmp_path / "grid" / "cells" / "sst2-rep-encoder-seed0"
    assert interrupted.exit_code == 130
    assert f"Finished runs are kept. Go on: loretta compare --model {workplace.encoder}" in interrupted.stderr
    assert not (cell / "report.json").exists()

    outcome = loretta(*arguments)

    assert outcome.exit_code == 0, outcome.stderr
    assert "going on after step 3" in outcome.stderr
    assert (cell / "report.json").is_file()


def test_dry_run_lists_the_runs_with_their_counts_and_writes_nothing(
    trained: FinishedGrid, workplace: Workplace, tmp_path: Path
) -> None:
    outcome = loretta("compare", *asked(workplace), "-o", tmp_path / "x", "--dry-run", "--json")

    assert outcome.exit_code == 0, outcome.stderr
    counted = {cell["method"]: cell["trainable_parameters"] for cell in outcome.document["cells"]}
    assert counted == {
        row["method"]: row["tasks"]["sst2"]["trainable_parameters"]
        for row in trained.outcome.document["rows"]
    }
    assert not files_below(tmp_path)
    states = [cell["state"] for cell in trained.again("--dry-run", "--json").document["cells"]]
    assert states == ["finished", "finished"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "no model and no task"),
        (("quickstart",), "Add --output DIR"),
        (("quikstart", "-o", "x"), "Did you mean 'quickstart'"),
        (("quickstart", "-o", "x", "--method", "repp"), "Did you mean 'rep'"),
        (("quickstart", "-o", "x", "--task", "sst2,trecc"), "Did you mean 'trec'"),
        (("quickstart", "-o", "x", "--seed", "one"), "expected whole numbers"),
        (("quickstart", "-o", "x", "--seed", "-1"), "expected whole numbers"),
        (("quickstart", "-o", "x", "--set", "training.lr=1"), "'training.learning_rate'"),
        (("quickstart", "-o", "x", "--set", "output.dir=y"), "output.dir is set"),
        (("quickstart", "-o", "x", "--set", "model.trust_remote_code=true"), "--trust-remote-code"),
        (("my.csv", "-o", "x"), "Unknown recipe"),
    ],
)
def test_wrong_usage_is_told_before_anything_runs(
    arguments: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    outcome = loretta("compare", *arguments, cwd=tmp_path)

    assert outcome.exit_code == 2
    assert told in outcome.stderr
    assert not files_below(tmp_path)


def test_with_json_wrong_usage_is_a_document_too(tmp_path: Path) -> None:
    outcome = loretta("compare", "quickstart", "-o", "x", "--method", "repp", "--json", cwd=tmp_path)

    assert outcome.exit_code == 2
    assert "repp" in json.dumps(outcome.document)


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(compare_command, "processes", lambda: Processes(count=2))

    outcome = loretta("compare", "quickstart", "-o", "x", cwd=tmp_path)

    assert outcome.exit_code == 2
    assert "compare trains in one process" in outcome.stderr
