"""``loretta runs``."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loretta_cli.artifacts.run_lock import running
from loretta_cli.artifacts.run_state import read_state
from tests.cli.conftest import FinishedRun
from tests.command_line import files_below, loretta, python
from tests.run_folders import config_of_run, write_finished, write_trajectory, write_unfinished


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A working directory with runs of every kind, the newest first in the alphabet."""
    runs = tmp_path / "runs"
    write_finished(runs / "a-finished", score=0.8, changed_at=500.0)
    write_unfinished(runs / "b-stopped", checkpoint=4, changed_at=400.0)
    write_finished(runs / "c-damaged", changed_at=300.0).report_file.write_text("{", encoding="utf-8")
    write_unfinished(runs / "d-incomplete", changed_at=200.0)
    write_finished(runs / "grid" / "cells" / "e-cell", config_of_run(method="adp"), changed_at=100.0)
    os.utime(runs / "c-damaged" / "report.json", (300, 300))
    return tmp_path


def listed(here: Path, *arguments: object) -> list[dict[str, object]]:
    """The runs in the document."""
    outcome = loretta("runs", *arguments, "--json", cwd=here)
    assert outcome.exit_code == 0, outcome.stderr
    runs: list[dict[str, object]] = outcome.document["runs"]
    return runs


def test_runs_are_listed_newest_first_with_their_status(here: Path) -> None:
    runs = listed(here)

    assert [(run["name"], run["status"]) for run in runs] == [
        ("a-finished", "finished"),
        ("b-stopped", "stopped"),
        ("c-damaged", "damaged"),
        ("d-incomplete", "incomplete"),
        ("grid/cells/e-cell", "finished"),
    ]
    first = runs[0]
    assert first["changed_at"] == "1970-01-01T00:08:20Z"
    assert (first["main_metric"], first["score"], first["best_step"]) == ("accuracy", 0.8, 4)
    assert (first["trainable_parameters"], first["adapter_bytes"]) == (1_000, 4096)
    assert int(str(first["folder_bytes"])) > 4096
    assert (runs[1]["step"], runs[1]["total_steps"], runs[1]["resumable"]) == (4, 12, True)


def test_the_table_says_what_is_wrong_and_what_to_do(here: Path) -> None:
    outcome = loretta("runs", cwd=here)

    assert outcome.exit_code == 0
    lines = outcome.stdout.splitlines()
    assert lines[0] == "5 runs in runs"
    assert any(line.startswith("b-stopped") and "stopped at 4/12" in line for line in lines)
    assert "c-damaged (damaged): The run runs/c-damaged has no readable report.json." in lines
    assert lines[-3:] == [
        "Next:",
        "  loretta show runs/a-finished",
        "  loretta train --output runs/b-stopped --resume",
    ]


def test_a_score_of_the_selection_rows_is_marked_and_one_of_the_validation_rows_is_not(here: Path) -> None:
    by_name = {run["name"]: run for run in listed(here)}
    lines = loretta("runs", cwd=here).stdout.splitlines()

    assert by_name["a-finished"]["score_split"] == "validation"
    assert (by_name["b-stopped"]["score_split"], by_name["b-stopped"]["score"]) == ("selection", 0.7)
    assert "  0.7000*  " in next(line for line in lines if line.startswith("b-stopped"))
    assert [line for line in lines if line.startswith("a-finished") and "0.8000*" in line] == []
    assert "* on the selection rows so far" in lines
    finished = loretta("runs", "grid", cwd=here / "runs").stdout
    assert "*" not in finished


def test_a_run_without_a_score_names_no_split(tmp_path: Path) -> None:
    write_unfinished(tmp_path / "runs" / "young", steps=0, scores=())

    (run,) = listed(tmp_path)
    assert (run["score"], run["score_split"]) == (None, None)
    assert "*" not in loretta("runs", cwd=tmp_path).stdout


def test_a_run_in_training_is_listed_as_running(here: Path) -> None:
    with running(here / "runs" / "b-stopped"):
        (run,) = [one for one in listed(here) if one["name"] == "b-stopped"]
        table = loretta("runs", cwd=here).stdout

    assert (run["status"], run["step"]) == ("running", 6)
    assert "running at 6/12" in table


def test_runs_are_sorted_and_filtered(here: Path) -> None:
    assert [run["name"] for run in listed(here, "--sort", "metric")][:2] == [
        "a-finished",
        "grid/cells/e-cell",
    ]
    assert [run["name"] for run in listed(here, "--method", "adp")] == ["grid/cells/e-cell"]
    assert listed(here, "--task", "trec") == []
    nothing = loretta("runs", "--task", "trec", cwd=here)
    assert nothing.stdout == "Of 5 runs in runs, none fits the filters.\n"
    some = loretta("runs", "--method", "rep", cwd=here)
    assert some.stdout.startswith("4 of 5 runs in runs\n")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--sort", "tiem"), "Did you mean 'time'?"),
        (("--method", "reb"), "Did you mean 'rep'?"),
        (("--task", "bolq"), "Did you mean 'boolq'?"),
        (("rnus",), "Did you mean 'runs'?"),
    ],
)
def test_a_misspelling_gets_the_nearest_name(here: Path, arguments: tuple[str, ...], hint: str) -> None:
    outcome = loretta("runs", *arguments, cwd=here)

    assert outcome.exit_code == 2
    assert outcome.stdout == ""
    assert hint in outcome.stderr


def test_without_runs_it_says_so_and_how_to_make_one(tmp_path: Path) -> None:
    assert loretta("runs", cwd=tmp_path).stdout == (
        "There is no folder runs yet.\nNext:\n  loretta train quickstart\n"
    )
    (tmp_path / "runs").mkdir()
    assert loretta("runs", cwd=tmp_path).stdout.startswith("There is no run in runs.\n")
    assert listed(tmp_path) == []


def test_nothing_is_written(here: Path) -> None:
    before = files_below(here)
    loretta("runs", cwd=here)

    assert files_below(here) == before


def test_a_real_run_is_listed_with_what_it_reported(rep_run: FinishedRun) -> None:
    (run,) = listed(rep_run.path.parent, rep_run.path)

    report = json.loads((rep_run.path / "report.json").read_text(encoding="utf-8"))
    assert run["status"] == "finished"
    assert run["metrics"] == report["metrics"]
    assert run["adapter_bytes"] == report["adapter_bytes"]


def test_listing_and_showing_import_nothing_heavy(here: Path) -> None:
    script = (
        "import sys\nfrom loretta_cli.cli.app import main\n"
        "for arguments in (['runs'], ['show', 'a-finished', 'b-stopped'], ['show', 'd-incomplete']):\n"
        "    sys.argv = ['loretta', *arguments]\n"
        "    try:\n        main()\n    except SystemExit as end:\n        assert not end.code, arguments\n"
        "heavy = {'torch', 'transformers', 'peft', 'datasets', 'matplotlib', 'scipy', 'sklearn'}\n"
        "assert not heavy.intersection(sys.modules), heavy.intersection(sys.modules)\n"
    )

    assert "a-finished" in python(script, cwd=here)


@pytest.mark.parametrize("seed", range(25))
def test_a_run_with_files_cut_changed_or_missing_is_never_a_crash(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    run = write_finished(tmp_path / "runs" / "one", config_of_run("training.gradient=zo"))
    write_trajectory(run)
    write_finished(tmp_path / "runs" / "two")
    files = sorted(path for path in run.path.rglob("*") if path.is_file())
    for file in chance.sample(files, 3):
        content = bytearray(file.read_bytes())
        for _ in range(chance.randint(1, 10)):
            content[chance.randrange(len(content))] = chance.choice(b'{}[]",:0123456789eE-.\xff\x00\n')
        file.write_bytes(content[: chance.randint(0, 2 * len(content))])
    if chance.random() < 0.3:
        chance.choice(files).unlink()

    for arguments in (("runs",), ("show", "runs/one"), ("show", "runs/one", "two", "--json")):
        outcome = loretta(*arguments, cwd=tmp_path)
        assert outcome.exit_code in (0, 2), outcome.stderr
        assert "Traceback" not in outcome.stderr


def test_a_run_in_training_is_neither_resumed_nor_overwritten(
    rep_run: FinishedRun, copied: Callable[[FinishedRun], Path]
) -> None:
    run = copied(rep_run)
    (run / "report.json").unlink()
    before = files_below(run)
    with running(run):
        for arguments in (("--resume",), ("quickstart", "--overwrite")):
            outcome = loretta("train", "--output", run, *arguments)
            assert outcome.exit_code == 2
            assert f"Another process is training the run {run}." in outcome.stderr

    assert files_below(run) == before


def test_a_training_holds_the_lock_of_its_run(
    rep_run: FinishedRun, copied: Callable[[FinishedRun], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from loretta_cli.training import run as training

    run, seen = copied(rep_run), []
    (run / "report.json").unlink()
    fit = training._fit

    def look(*arguments: Any) -> None:
        seen.append(read_state(run).status)
        fit(*arguments)

    monkeypatch.setattr(training, "_fit", look)
    monkeypatch.setattr("loretta_cli.training.trainer.AdapterTrainer.take_up_ended", lambda *_: False)

    assert loretta("train", "--output", run, "--resume").exit_code == 0
    assert seen == ["running"]
    assert read_state(run).status == "finished"
