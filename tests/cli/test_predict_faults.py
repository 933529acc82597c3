"""What ``predict`` refuses: one sentence, exit code 2, before a model is loaded, and nothing is written."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loretta_cli.config import write_config
from tests.cli.conftest import FinishedRun
from tests.cli.refusal import assert_refused
from tests.command_line import Outcome, loretta
from tests.run_folders import config_of_run, write_finished, write_unfinished


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs without weights: what is refused here is refused before a model is looked for."""
    home = tmp_path_factory.mktemp("faults")
    write_finished(home / "run", config_of_run("task.form=classification"))
    write_finished(home / "pair", config_of_run("task.form=classification", task="boolq"))
    write_finished(home / "writing", config_of_run("task.form=generation", task="squad"))
    write_unfinished(home / "unfinished", checkpoint=6)
    write_unfinished(home / "bare")
    (home / "model").mkdir()
    (home / "model" / "config.json").write_text("{}", encoding="utf-8")
    (home / "folder").mkdir()
    for name, text in {
        "empty.csv": b"",
        "head.csv": b"sentence\n",
        "empty.txt": b"\n \n",
        "empty.jsonl": b"",
        "other.csv": b"body,label\nthe sun,1\n",
        "latin.csv": b"sentence\nthe caf\xe9\n",
        "good.csv": b"sentence\nthe sun\n",
        "good.txt": b"the sun\n",
        "cells.csv": b"sentence\nthe sun,1\n",
        "taken.csv": b"sentence,probability\nthe sun,1\n",
        "labelled.csv": b"sentence,probability_positive\nthe sun,1\n",
        "broken.jsonl": b'{"sentence": "the sun"}\n{"sentence": \n',
        "null.jsonl": b'{"sentence": "the sun"}\n{"sentence": null}\n',
        "late.jsonl": b'{"sentence": "the sun"}\n{"body": "the sky"}\n',
        "rows.json": b"[]",
        "rows.xlsx": b"x",
        "there.csv": b"mine",
        "not.parquet": b"x",
    }.items():
        (home / name).write_bytes(text)
    return home


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def refused(home: Path, *arguments: object) -> Outcome:
    before = contents(home)
    outcome = loretta("predict", *arguments, cwd=home)
    assert_refused(outcome)
    assert contents(home) == before
    document = loretta("predict", *arguments, "--json", cwd=home)
    assert document.exit_code == 2
    assert document.document["error"]["message"] in outcome.stderr
    return outcome


TEXT = "the sun"
INPUT = "--input"
FAULTS: dict[str, tuple[tuple[str, ...], str]] = {
    "no such run": (("nowhere", TEXT), "There is no run folder nowhere"),
    "a file for a run": (("good.csv", TEXT), "There is no run folder good.csv"),
    "no run": (("folder", TEXT), "folder is not a run folder: it has no config.yaml"),
    "a model": (("model", TEXT), "model is not a run folder"),
    "the adapter": (("run/adapter", TEXT), "is not a run folder"),
    "unfinished": (("unfinished", TEXT), "The run unfinished has no finished adapter"),
    "no best yet": (("unfinished", TEXT, "--checkpoint", "best"), "has no best adapter yet"),
    "no checkpoint": (("bare", TEXT, "--checkpoint", "last"), "has no complete checkpoint"),
    "no such checkpoint": (("run", TEXT, "--checkpoint", "lst"), "Did you mean 'last'?"),
    "another task": (("run", TEXT, "--task", "mr"), "is of the task sst2, not of mr"),
    "no such file": (("run", INPUT, "nowhere.csv"), "nowhere.csv: no such file"),
    "no such file, nor kind": (("run", INPUT, "nowhere.xyz"), "nowhere.xyz: no such file"),
    "a folder": (("run", INPUT, "folder"), "folder is a folder; a file was expected"),
    "an unknown kind": (("run", INPUT, "rows.xlsx"), "rows.xlsx: unknown kind of data file; expected .jsonl"),
    "json": (("run", INPUT, "rows.json"), ".json is not read"),
    "no parquet": (("run", INPUT, "not.parquet"), "not.parquet is not a readable Parquet file"),
    "an empty file": (("run", INPUT, "empty.csv"), "empty.csv is empty"),
    "a header alone": (("run", INPUT, "head.csv"), "head.csv has a header and no rows"),
    "an empty text file": (("run", INPUT, "empty.txt"), "empty.txt has no text"),
    "no lines": (("run", INPUT, "empty.jsonl"), "empty.jsonl has no rows"),
    "another encoding": (("run", INPUT, "latin.csv"), "latin.csv, line 2: byte 0xe9"),
    "a cell too many": (("run", INPUT, "cells.csv"), "cells.csv, line 2: 2 cells"),
    "half an object": (("run", INPUT, "broken.jsonl"), "broken.jsonl, line 2: this is not valid JSON"),
    "a null": (("run", INPUT, "null.jsonl"), "null.jsonl, line 2, column 'sentence': the text is null"),
    "no column": (("run", INPUT, "other.csv"), "line 2: the column 'sentence' is missing; found body, label"),
    "a column in some rows": (("run", INPUT, "late.jsonl"), "late.jsonl, line 2: the column 'sentence'"),
    "no such column": (("run", INPUT, "other.csv", "--column", "boddy"), "there is no column 'boddy'"),
    "a column of answers": (("run", INPUT, "taken.csv"), "the column 'probability' has the name of one"),
    "one of a label": (("run", INPUT, "labelled.csv"), "the column 'probability_positive'"),
    "one of two columns": (("pair", INPUT, "other.csv"), "the column 'question' is missing"),
    "which column": (("pair", INPUT, "other.csv", "--column", "body"), "reads the columns question, passage"),
    "a text for a pair": (("pair", TEXT), "reads the columns question, passage, and the texts given, row 1"),
    "lines for a pair": (("pair", INPUT, "good.txt"), "a line of good.txt is one text"),
    "an object without a column": (("pair", '{"question": "is it"}'), "the column 'passage' is missing"),
    "half an object of a pair": (("pair", '{"question":'), "this is not valid JSON"),
    "a file for a text": (("run", "good.csv"), "The text 'good.csv' is the name of a file."),
    "both": (("run", TEXT, INPUT, "good.csv"), "Texts are given and --input, too"),
    "longer labels": (("run", TEXT, "--max-new-tokens", "9"), "--max-new-tokens is for runs that write"),
    "no text": (("run", "\udcff"), "row 1: the text is not UTF-8"),
    "an unknown output": (("run", TEXT, "--output", "x.xlsx"), "--output writes .csv or .jsonl"),
    "an output that is there": (("run", TEXT, "--output", "there.csv"), "The output there.csv exists"),
    "a folder to write": (("run", TEXT, "-o", "folder"), "--output writes .csv or .jsonl"),
    "no folder to write in": (("run", TEXT, "-o", "no/x.csv"), "There is no folder no for x.csv"),
    "the input again": (
        ("run", INPUT, "good.csv", "-o", "./good.csv", "--overwrite"),
        "--output is the file that is read, good.csv",
    ),
    "nothing to overwrite": (("run", TEXT, "--overwrite"), "--overwrite needs --output"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_gets_one_sentence_before_anything_is_done(name: str, home: Path) -> None:
    arguments, says = FAULTS[name]

    assert says in refused(home, *arguments).stderr


def test_an_unfinished_run_says_how_to_ask_it_all_the_same(home: Path) -> None:
    assert "--resume" in refused(home, "bare", TEXT).stderr
    assert "--checkpoint" not in refused(home, "unfinished", TEXT).stderr
    (home / "unfinished" / "best").mkdir()
    (home / "unfinished" / "best" / "adapter_config.json").write_text("{}", encoding="utf-8")

    told = refused(home, "unfinished", TEXT).stderr

    assert "--resume. The best so far is asked with --checkpoint best." in told


def test_the_columns_that_are_needed_are_shown_as_json(home: Path) -> None:
    assert '{"question": "…", "passage": "…"}' in refused(home, "pair", TEXT).stderr
    assert '{"context": "…", "question": "…"}' in refused(home, "writing", TEXT).stderr


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "standard input is empty"),
        (b"\n \n", "standard input is empty"),
        (b"\xff\n", "standard input, line 1: byte 0xff is not UTF-8"),
        (b'{"body": "x"}\n', "standard input, row 1: the column 'sentence' is missing"),
    ],
)
def test_a_fault_on_standard_input_is_named_by_its_line(
    data: bytes, says: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    outcome = loretta("predict", "run", cwd=home)

    assert_refused(outcome)
    assert says in outcome.stderr


def test_a_late_fault_ends_the_lines_with_an_error(
    rep_run: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"the sun\n\xff\nthe sky\n")))

    outcome = loretta("predict", rep_run.path, "--json")

    assert outcome.exit_code == 2
    first, last = (json.loads(line) for line in outcome.stdout.splitlines())
    assert first["sentence"] == "the sun"
    assert "line 2: byte 0xff" in last["error"]["message"]


def test_an_interruption_leaves_no_file(
    rep_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loretta_cli.evaluation.predict import Predictor

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictor, "_predict", interrupted)

    outcome = loretta("predict", rep_run.path, TEXT, "--output", tmp_path / "answers.csv")

    assert outcome.exit_code == 130
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_leaves_no_file(
    rep_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def full(path: Path, *_: object, **__: object) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)

    outcome = loretta("predict", rep_run.path, TEXT, "--output", tmp_path / "answers.csv")

    assert outcome.exit_code == 2
    assert "Cannot write" in outcome.stderr
    assert list(tmp_path.iterdir()) == []


def test_strangers_code_is_not_run(rep_run: FinishedRun, copied: Callable[[FinishedRun], Path]) -> None:
    run = copied(rep_run)
    from loretta_cli.artifacts.run_folder import RunFolder

    config = RunFolder(run).read_config()
    model = config.model.model_copy(update={"trust_remote_code": True})
    write_config(config.model_copy(update={"model": model}), run / "config.yaml")

    outcome = loretta("predict", run, TEXT)

    assert_refused(outcome)
    assert "--trust-remote-code" in outcome.stderr


def test_a_damaged_adapter_is_refused(rep_run: FinishedRun, copied: Callable[[FinishedRun], Path]) -> None:
    run = copied(rep_run)
    (run / "adapter" / "adapter_model.safetensors").write_bytes(b"x")

    outcome = loretta("predict", run, TEXT)

    assert_refused(outcome)
    assert "adapter" in outcome.stderr
