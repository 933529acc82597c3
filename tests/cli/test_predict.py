"""``loretta predict``: texts, files and standard input in; tables, lines, JSON and files out."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import FEW_STEPS, FinishedRun, Workplace
from tests.command_line import Outcome, files_below, loretta, sentence
from tests.task_folders import write_tasks

TEXTS = ("the film was very good", "the story was sad and the water is blue")
BOOLQ = [
    {"question": "is the sun warm", "passage": "the sun is warm light", "label": 1},
    {"question": "is the river warm", "passage": "the river is cold water", "label": 0},
]


def lines_of(outcome: Outcome) -> list[dict[str, Any]]:
    assert outcome.exit_code == 0, outcome.stderr
    return [json.loads(line) for line in outcome.stdout.splitlines()]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | bytes], None]:
    """Put a text on standard input."""

    def put(text: str | bytes) -> None:
        data = text.encode() if isinstance(text, str) else text
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return put


@pytest.fixture(scope="module")
def pair_run(workplace: Workplace) -> FinishedRun:
    """rep on the encoder, boolq: rows have two columns."""
    folder = workplace.folder / "boolq"
    folder.mkdir()
    for split in ("train", "validation"):
        text = "".join(json.dumps(row) + "\n" for row in BOOLQ * 4)
        (folder / f"{split}.jsonl").write_text(text, encoding="utf-8")
    run = workplace.folder / "pair-run"
    asked = ("--model", workplace.encoder, "--task", "boolq", "--data", folder, "--output", run)
    outcome = loretta("train", *asked, *FEW_STEPS)
    assert outcome.exit_code == 0, outcome.stderr
    return FinishedRun(run, outcome)


@pytest.fixture(scope="module")
def writing_run(workplace: Workplace) -> FinishedRun:
    """rep on the decoder, texts of the user's own."""
    data = workplace.folder / "writing.jsonl"
    rows = [{"prompt": sentence(number)[0], "completion": "no it is not"} for number in range(24)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    run = workplace.folder / "writing-run"
    asked = ("--model", workplace.decoder, "--task", "generation", "--data", data, "--output", run)
    outcome = loretta("train", *asked, *FEW_STEPS, "--set", "task.max_new_tokens=6")
    assert outcome.exit_code == 0, outcome.stderr
    return FinishedRun(run, outcome)


# One text


def test_one_text_gets_each_label_with_its_probability(rep_run: FinishedRun) -> None:
    before = files_below(rep_run.path)
    outcome = loretta("predict", rep_run.path, TEXTS[0])

    assert outcome.exit_code == 0, outcome.stderr
    heads, _, *rows = (line.split() for line in outcome.stdout.splitlines())
    assert heads == ["label", "probability"]
    assert {name for name, _ in rows} == {"negative", "positive"}
    probabilities = [float(value) for _, value in rows]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=2e-4)
    assert outcome.stderr == ""
    assert files_below(rep_run.path) == before, "asking writes nothing"


def test_one_text_with_json_is_one_line(rep_run: FinishedRun) -> None:
    (line,) = lines_of(loretta("predict", rep_run.path, "--text", TEXTS[0], "--json"))

    assert line["sentence"] == TEXTS[0]
    assert line["prediction"] == max(line["probabilities"], key=line["probabilities"].get)
    assert line["probability"] == line["probabilities"][line["prediction"]]
    assert line["schema_version"] == 1


def test_a_text_may_begin_with_a_dash(rep_run: FinishedRun) -> None:
    (line,) = lines_of(loretta("predict", rep_run.path, "--text=-5 of the film", "--json"))

    assert line["sentence"] == "-5 of the film"


def test_a_text_is_written(writing_run: FinishedRun) -> None:
    said = loretta("predict", writing_run.path, TEXTS[0])
    (line,) = lines_of(loretta("predict", writing_run.path, TEXTS[0], "--json"))
    (longer,) = lines_of(loretta("predict", writing_run.path, TEXTS[0], "--max-new-tokens", 30, "--json"))

    assert said.exit_code == 0, said.stderr
    # The reporter shows no control characters, which a random model writes.
    assert said.stdout.strip() == "".join(char for char in line["prediction"] if char.isprintable()).strip()
    assert set(line) == {"prompt", "prediction", "schema_version"}
    assert longer["prediction"].startswith(line["prediction"])
    assert len(longer["prediction"]) > len(line["prediction"])


def test_a_row_of_several_columns_is_json(pair_run: FinishedRun) -> None:
    (line,) = lines_of(loretta("predict", pair_run.path, json.dumps(BOOLQ[0]), "--json"))

    assert line["prediction"] in ("no", "yes")
    assert {name: line[name] for name in BOOLQ[0]} == BOOLQ[0]


# Many


def test_several_texts_and_lines_of_standard_input_get_a_line_each(
    rep_run: FinishedRun, typed: Callable[[str], None]
) -> None:
    given = loretta("predict", rep_run.path, *TEXTS)
    typed(f"{TEXTS[0]}\n\n{TEXTS[1]}\r\n")
    piped = loretta("predict", rep_run.path)

    assert given.exit_code == 0, given.stderr
    rows = [line.split("\t") for line in given.stdout.splitlines()]
    assert [text for _, _, text in rows] == list(TEXTS)
    assert piped.stdout == given.stdout


def test_lines_are_answered_as_they_come(
    rep_run: FinishedRun, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The second line is handed over only after the first answer is on stdout."""
    seen: list[int] = []
    out = io.StringIO()

    class Lines:
        def __iter__(self) -> Any:
            for text in TEXTS:
                seen.append(len(out.getvalue().splitlines()))
                yield f"{text}\n".encode()

    class Stdin:
        buffer = Lines()

        def isatty(self) -> bool:
            return False

    from loretta_cli.cli.app import app

    monkeypatch.setattr(sys, "stdin", Stdin())
    monkeypatch.setattr(sys, "stdout", out)
    app(["predict", str(rep_run.path), "--json"], standalone_mode=False)

    assert seen == [0, 1]


def test_a_line_of_standard_input_may_be_json_and_the_limit_holds(
    pair_run: FinishedRun, rep_run: FinishedRun, typed: Callable[[str], None]
) -> None:
    typed("".join(json.dumps({**row, "id": 7}) + "\n" for row in BOOLQ * 2))
    answered = lines_of(loretta("predict", pair_run.path, "--limit", 3, "--json"))
    typed("{not json\n" + json.dumps({"body": TEXTS[0]}) + "\n")
    mixed = lines_of(loretta("predict", rep_run.path, "--column", "body", "--json", "--batch-size", 2))

    assert [line["question"] for line in answered] == [row["question"] for row in BOOLQ * 2][:3]
    assert [line["id"] for line in answered] == [7, 7, 7]
    assert mixed[0]["sentence"] == "{not json"
    assert mixed[1]["body"] == TEXTS[0]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".txt"])
def test_a_file_of_any_kind_is_read_with_its_column_named(
    suffix: str, rep_run: FinishedRun, tmp_path: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = tmp_path / f"mine{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.table({"body": list(TEXTS), "score": [1.5, float("nan")]}), file)
    elif suffix == ".jsonl":
        file.write_text("".join(json.dumps({"body": text}) + "\n" for text in TEXTS), encoding="utf-8")
    elif suffix == ".txt":
        file.write_text("\n".join(TEXTS), encoding="utf-8")
    else:
        cells = "," if suffix == ".csv" else "\t"
        lines = [f"id{cells}body", *(f"{number}{cells}{text}" for number, text in enumerate(TEXTS))]
        file.write_text("\n".join(lines), encoding="utf-8")
    named = () if suffix == ".txt" else ("--column", "sentence=body")

    found = lines_of(loretta("predict", rep_run.path, "--input", file, *named, "--json"))
    expected = lines_of(loretta("predict", rep_run.path, *TEXTS, "--json"))

    assert [line["prediction"] for line in found] == [line["prediction"] for line in expected]
    for line, other in zip(found, expected, strict=True):
        assert line["probabilities"] == pytest.approx(other["probabilities"], abs=1e-6)
    if suffix == ".parquet":
        assert [line["score"] for line in found] == [1.5, None]


def test_columns_of_a_pair_are_named_one_by_one(pair_run: FinishedRun, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    lines = ["ask,text", *(f"{row['question']},{row['passage']}" for row in BOOLQ)]
    file.write_text("\n".join(lines), encoding="utf-8")
    named = ("--column", "question=ask", "--column", "passage=text")

    found = lines_of(loretta("predict", pair_run.path, "-i", file, *named, "--json"))
    expected = lines_of(loretta("predict", pair_run.path, *map(json.dumps, BOOLQ), "--json"))

    assert [line["probability"] for line in found] == [line["probability"] for line in expected]


def test_truncated_rows_are_told(rep_run: FinishedRun) -> None:
    long = "the river is cold water " * 60

    one = loretta("predict", rep_run.path, long)
    some = loretta("predict", rep_run.path, *TEXTS, long, "--json")

    assert one.stderr == "1 of 1 row was too long and was truncated\n"
    assert some.stderr == "1 of 3 rows was too long and was truncated\n"


# Files


@pytest.mark.parametrize("name", ["rep_run", "adp_run", "prompt_run"])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_the_accuracy_of_a_predicted_file_is_that_of_eval(
    name: str, suffix: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    run: FinishedRun = request.getfixturevalue(name)
    workplace: Workplace = request.getfixturevalue("workplace")
    file = workplace.labelled if name == "adp_run" else workplace.sentences / "validation.csv"
    output = tmp_path / f"answers{suffix}"

    done = loretta("predict", run.path, "--input", file, "--output", output, "--json")
    (result,) = loretta("eval", run.path, "--data", file, "--json").document["results"]

    assert done.document == {
        "output": str(output),
        "rows": result["rows"],
        "shortened": 0,
        "schema_version": 1,
    }
    text = output.read_text(encoding="utf-8")
    rows = (
        list(csv.DictReader(io.StringIO(text)))
        if suffix == ".csv"
        else [json.loads(line) for line in text.splitlines()]
    )
    column = "mood" if name == "adp_run" else "label"
    labels = {"0": "negative", "1": "positive"}
    right = [row["prediction"] == labels.get(row[column], row[column]) for row in rows]
    assert sum(right) / len(right) == result["metrics"]["accuracy"]
    assert [path.name for path in tmp_path.iterdir()] == [output.name]


def test_a_table_has_the_columns_of_the_rows_and_a_probability_of_each_label(
    rep_run: FinishedRun, tmp_path: Path
) -> None:
    file = tmp_path / "mine.jsonl"
    rows = [{"sentence": 'a "great", warm\nfilm', "tags": ["a", "b"]}, {"sentence": "sad", "id": 3}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    output = tmp_path / "answers.csv"

    done = loretta("predict", rep_run.path, "--input", file, "--output", output)

    assert done.exit_code == 0, done.stderr
    assert done.stdout == f"written: {output} (2 rows)\n"
    with output.open(encoding="utf-8", newline="") as opened:
        first, second = csv.DictReader(opened)
    assert list(first) == [
        *("sentence", "tags", "prediction", "probability"),
        *("probability_negative", "probability_positive", "id"),
    ]
    assert (first["sentence"], first["tags"], first["id"]) == (rows[0]["sentence"], '["a", "b"]', "")
    assert (second["tags"], second["id"]) == ("", "3")
    assert float(first["probability_negative"]) + float(first["probability_positive"]) == pytest.approx(1)


def test_a_file_that_is_there_is_replaced_only_if_asked(rep_run: FinishedRun, tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    output.write_text("mine", encoding="utf-8")

    refused = loretta("predict", rep_run.path, *TEXTS, "--output", output)
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert output.read_text(encoding="utf-8") == "mine"

    done = loretta("predict", rep_run.path, *TEXTS, "--output", output, "--overwrite")
    assert done.exit_code == 0, done.stderr
    assert len(output.read_text(encoding="utf-8").splitlines()) == 2


def test_standard_input_can_be_written_to_a_file(
    rep_run: FinishedRun, typed: Callable[[str], None], tmp_path: Path
) -> None:
    typed("\n".join(TEXTS))

    done = loretta("predict", rep_run.path, "--output", tmp_path / "answers.jsonl")

    assert done.exit_code == 0, done.stderr
    lines = (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["sentence"] for line in lines] == list(TEXTS)


# Runs


def test_the_checkpoints_of_a_run_are_asked(rep_run: FinishedRun, copied: Callable[..., Path]) -> None:
    run = copied(rep_run)
    finished, best, last = (
        lines_of(loretta("predict", run, TEXTS[0], "--json", *which))
        for which in ((), ("--checkpoint", "best"), ("--checkpoint", "last"))
    )
    assert best == finished
    assert last[0]["probabilities"].keys() == best[0]["probabilities"].keys()

    (run / "report.json").unlink()
    (run / "adapter").rename(run / "gone")
    unfinished = loretta("predict", run, TEXTS[0])
    assert unfinished.exit_code == 2
    assert "has no finished adapter" in unfinished.stderr
    assert lines_of(loretta("predict", run, TEXTS[0], "--json", "--checkpoint", "best")) == best
    assert lines_of(loretta("predict", run, TEXTS[0], "--json", "--checkpoint", "last")) == last


def test_a_run_of_several_tasks_is_asked_for_one_of_them(workplace: Workplace, tmp_path: Path) -> None:
    data = write_tasks(tmp_path / "tasks", "sst2", "sst5")
    run = tmp_path / "run"
    asked = ("--model", workplace.encoder, "--data", data, "--task", "sst2", "--task", "sst5")
    trained = loretta("train", *asked, *FEW_STEPS, "--output", run)
    assert trained.exit_code == 0, trained.stderr
    assert f"loretta predict {run} --task sst5" in trained.stdout

    for name, column in (("sst2", "sentence"), ("sst5", "text")):
        file, output = data / name / "validation.jsonl", tmp_path / f"{name}.jsonl"
        done = loretta("predict", run, "--task", name, "--input", file, "--output", output)
        assert done.exit_code == 0, done.stderr
        rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
        names = list(rows[0]["probabilities"])
        results = loretta("eval", run, "--json").document["results"]
        (expected,) = [result for result in results if result["task"] == name]
        right = sum(row["prediction"] == names[row["label"]] for row in rows)
        assert right / len(rows) == expected["metrics"]["accuracy"]
        assert column in rows[0]

    for wrong, says in (((), "which one is asked is not said"), (("--task", "mr"), "not of mr")):
        refused = loretta("predict", run, TEXTS[0], *wrong)
        assert refused.exit_code == 2
        assert says in refused.stderr
