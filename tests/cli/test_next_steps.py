"""What is said after an export and a merge: where the code is, and a command that scores as the run does."""

from __future__ import annotations

import ast
import shlex
from pathlib import Path

import pytest

from loretta_cli.cli.next_steps import of_merged
from loretta_cli.config import Config
from tests.cli.conftest import FEW_STEPS, FinishedRun, Workplace
from tests.command_line import loretta, python


def merged(run: Path, output: Path) -> list[str]:
    """The lines that ``merge`` prints."""
    outcome = loretta("merge", run, "--output", output)
    assert outcome.exit_code == 0, outcome.stderr
    assert f"How to load it: {output}/README.md" in outcome.stdout.splitlines()
    return outcome.stdout.splitlines()


def results(*arguments: object) -> list[dict[str, object]]:
    outcome = loretta(*arguments, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    found: list[dict[str, object]] = outcome.document["results"]
    return found


@pytest.mark.parametrize("kind", ["head", "prompt"])
def test_the_command_after_a_merge_scores_as_the_run_does(
    kind: str, rep_run: FinishedRun, prompt_run: FinishedRun, tmp_path: Path
) -> None:
    run = {"head": rep_run, "prompt": prompt_run}[kind].path

    lines = merged(run, tmp_path / "my model")

    command = shlex.split(lines[lines.index("Next:") + 1])
    assert command[:4] == ["loretta", "eval", "--model", str(tmp_path / "my model")]
    assert results(*command[1:])[0]["metrics"] == pytest.approx(results("eval", run)[0]["metrics"], abs=1e-4)


def test_the_command_names_columns_and_labels_of_ones_own(workplace: Workplace, tmp_path: Path) -> None:
    rows = workplace.labelled.read_text(encoding="utf-8")
    data = tmp_path / "two words"
    data.mkdir()
    for split in ("train", "validation"):
        (data / f"{split}.csv").write_text(rows.replace("message,mood", "the message,mood"), encoding="utf-8")
    own = ("--set", "data.columns.text='the message'", "--set", "data.columns.label=mood", *FEW_STEPS)
    where = ("--model", workplace.encoder, "--task", "classification", "--data", data)
    run = tmp_path / "run"
    assert loretta("train", *where, "--method", "rep", *own, "--output", run).exit_code == 0

    lines = merged(run, tmp_path / "merged")

    command = shlex.split(lines[lines.index("Next:") + 1])
    assert 'data.columns.text="the message"' in command
    assert not [word for word in command if word.startswith("data.labels")], "the head knows them"
    assert results(*command[1:])[0]["metrics"] == pytest.approx(results("eval", run)[0]["metrics"], abs=1e-4)


def test_on_one_file_that_was_trained_on_no_score_is_proposed(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.touch()
    task = {"name": "classification"}

    assert of_merged(tmp_path, Config.model_validate({"task": task, "data": {"source": str(file)}})) == []
    assert of_merged(tmp_path, Config.model_validate({"task": task, "data": {"source": str(tmp_path)}}))


def test_an_export_says_where_its_code_is(rep_run: FinishedRun, tmp_path: Path) -> None:
    outcome = loretta("export", rep_run.path, "--format", "lora", "--output", tmp_path / "lora")

    assert outcome.stdout.splitlines()[-1] == f"How to load it: {tmp_path}/lora/README.md"


def test_the_code_in_a_merged_models_card_answers_with_transformers_alone(
    rep_run: FinishedRun, prompt_run: FinishedRun, tmp_path: Path
) -> None:
    told = []
    for run in (rep_run, prompt_run):
        place = tmp_path / run.path.name
        merged(run.path, place)
        snippet = (place / "README.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
        told.append(ast.literal_eval(python(snippet, cwd=place, blocked=("loretta_cli", "peft"))))

    assert {answer["label"] for answer in told[0]} <= {"negative", "positive"}
    assert len(told[0]) == 2
    assert told[1][0]["generated_text"].startswith("A text to go on with")
